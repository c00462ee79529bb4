package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/proxy/client"
)

// TestQuotaNoDeadlock has concurrent uploads need far more than there is room for. Each must
// succeed.
func TestQuotaNoDeadlock(t *testing.T) {
	const uploads, size = 32, 250 << 10
	s := newSpool(t, Config{Memory: 4 << 10, Total: 1 << 20, Wait: hang})
	var wg, begun sync.WaitGroup
	begun.Add(uploads)
	for range uploads {
		wg.Go(func() {
			w := s.Create(t.Context())
			defer w.Abort()
			_, err := w.Write([]byte("x"))
			begun.Done()
			if begun.Wait(); err != nil {
				t.Error(err)
				return
			}
			want := random(size)
			for sent := 0; sent < size; sent += 10 << 10 {
				if _, err := w.Write(want[sent : sent+10<<10]); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched() // let the others go on
			}
			o, err := w.Finish()
			if err != nil {
				t.Error(err)
				return
			}
			defer o.Release()
			checkBytes(t, o, append([]byte("x"), want...))
		})
	}
	wg.Wait()
	checkEmpty(t, s)
}

// TestQuotaNoStarvation has several clients send far more than there is room for: small and
// large uploads, some of which stall half-way and are then aborted. With any configuration and
// in any order, each of the others must succeed.
func TestQuotaNoStarvation(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		largest := int64(1+r.IntN(100)) << 20
		cfg := Config{Total: largest*4/3 + r.Int64N(300<<20), Share: 1 + r.IntN(100), Memory: 256 << 10}
		if r.IntN(3) > 0 {
			cfg.Largest = largest
		} else {
			cfg.Total = max(cfg.Total, 4*largest) // as the package comment says
		}
		synctest.Test(t, func(t *testing.T) {
			var q quota
			q.configure(cfg)
			var wg sync.WaitGroup
			for i := range 40 {
				u := &simulated{q: &q, r: rand.New(rand.NewPCG(seed, uint64(i))), key: client.User(uint32(r.IntN(5))),
					size: 1 + r.Int64N(largest), givesUp: i%4 == 0}
				if r.IntN(3) == 0 {
					u.size = 1 + r.Int64N(300<<10) // a mail
				}
				wg.Go(func() { u.run(t) })
			}
			wg.Wait()
			if q.all != (usage{}) || users(&q) != 0 || q.ring.Len() != 0 || q.waiting != 0 {
				t.Errorf("left: %+v of %d objects, %d waiting", q.all, users(&q), q.waiting)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, cfg)
		}
	}
}

// simulated is an upload that only uses the quota.
type simulated struct {
	q       *quota
	r       *rand.Rand
	key     client.Key
	size    int64
	givesUp bool
}

func (u *simulated) run(t *testing.T) {
	o := upload(u.q, u.key)
	defer u.q.close(o)
	for o.charge.size < u.size {
		u.pause(100 * time.Millisecond)
		if u.givesUp && o.charge.size > u.size/2 {
			time.Sleep(10 * time.Minute) // a client that stalls; the clock is not real
			return
		}
		n := min(1+u.r.Int64N(piece), u.size-o.charge.size)
		if err := u.q.take(t.Context(), o, n, time.Now().Add(24*time.Hour)); err != nil {
			t.Errorf("%v, after %d of %d bytes: %v", u.key, o.charge.size, u.size, err)
			return
		}
		if used, _, total, _ := u.q.stats(); used > total {
			t.Errorf("used %d of %d", used, total)
		}
	}
	u.q.done(o)
	u.pause(2 * time.Second) // the scan
}

func (u *simulated) pause(most time.Duration) { time.Sleep(time.Duration(u.r.Int64N(int64(most)))) }

// TestQuotaStress has clients come, stall, vanish and be refused. The quota is never exceeded,
// and in the end everything is freed.
func TestQuotaStress(t *testing.T) {
	const total = 256 << 10
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 8 << 10, Total: total, Share: 75, Wait: 2 * time.Millisecond, Store: store})
		var wg sync.WaitGroup
		for i := range 16 {
			r := rand.New(rand.NewPCG(uint64(i), 0))
			wg.Go(func() {
				for range 60 {
					stress(t, s, r)
				}
			})
		}
		wg.Wait()
		checkEmpty(t, s)
	}
}

func stress(t *testing.T, s *Spool, r *rand.Rand) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(8000))*time.Microsecond)
	defer cancel()
	w := s.Create(client.NewContext(ctx, client.User(uint32(r.IntN(3)))))
	defer w.Abort()
	want := random(r.IntN(100 << 10))
	for rest := want; len(rest) > 0; {
		n := min(len(rest), 1+r.IntN(20<<10))
		if _, err := w.Write(rest[:n]); err != nil {
			if !errors.Is(err, ErrQuota) && ctx.Err() == nil {
				t.Error(err)
			}
			return
		}
		rest = rest[n:]
	}
	if used := s.Stats().Used; used > total(s) {
		t.Errorf("used %d of %d", used, total(s))
	}
	if r.IntN(4) == 0 {
		return // the client vanished
	}
	o, err := w.Finish()
	if err != nil {
		t.Error(err)
		return
	}
	defer o.Release()
	checkBytes(t, o, want)
}

func total(s *Spool) int64 { return s.Stats().Total }

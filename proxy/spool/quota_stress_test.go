package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"polyclam/proxy/client"
)

// TestQuotaNoDeadlock sends far more at once than there is room for. All uploads
// are under way together, and each must succeed.
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
				runtime.Gosched() // let the others take their part
			}
			c, err := w.Finish()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Release()
			checkBytes(t, c, append([]byte("x"), want...))
		})
	}
	wg.Wait()
	checkEmpty(t, s)
}

// TestQuotaNobodyStarves has several clients send far more than there is room for:
// small and large uploads, some of them abandoned half-way after a while. However
// they come, each of the others must succeed: its wait is as long as the test may take.
func TestQuotaNobodyStarves(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		largest := int64(1+r.IntN(12)) << 20
		cfg := Config{
			Total: largest*4/3 + r.Int64N(32<<20), Share: 1 + r.IntN(100), Memory: 64 << 10, Wait: hang,
		}
		if r.IntN(3) > 0 {
			cfg.Largest = largest
		} else {
			cfg.Total = max(cfg.Total, 4*largest) // as the package comment says
		}
		s := newSpool(t, cfg)
		var wg sync.WaitGroup
		for i := range 24 {
			k := client.User(uint32(r.IntN(4)))
			size := largest
			if r.IntN(2) == 0 {
				size = 1 + r.Int64N(size)
			}
			wg.Go(func() { starve(t, s, k, size, i%4 == 0) })
		}
		wg.Wait()
		checkEmpty(t, s)
		if u := s.quota.all; u != (usage{}) || users(&s.quota) != 0 || s.quota.ring.Len() != 0 {
			t.Errorf("seed %d: left over: %+v of %d objects", seed, u, users(&s.quota))
		}
		if t.Failed() {
			t.Fatalf("seed %d: %+v", seed, cfg)
		}
	}
}

var noise = make([]byte, 256<<10)

// starve uploads and releases, or stops half-way for a moment and gives up.
func starve(t *testing.T, s *Spool, k client.Key, size int64, givesUp bool) {
	w := s.Create(client.NewContext(t.Context(), k))
	defer w.Abort()
	for w.Size() < size {
		if givesUp && w.Size() > size/2 {
			time.Sleep(5 * time.Millisecond) // a client that stops; nothing waits for this
			return
		}
		if _, err := w.Write(noise[:min(int64(len(noise)), size-w.Size())]); err != nil {
			t.Errorf("%v, after %d of %d bytes: %v", k, w.Size(), size, err)
			return
		}
	}
	c, err := w.Finish()
	if err != nil {
		t.Error(err)
		return
	}
	c.Release()
}

// TestQuotaStress lets clients come, stall, vanish and be refused in all ways
// at once. In the end everything is given back and the quota was kept.
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
		return // the client vanished before the end
	}
	c, err := w.Finish()
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Release()
	checkBytes(t, c, want)
}

func total(s *Spool) int64 { return s.Stats().Total }

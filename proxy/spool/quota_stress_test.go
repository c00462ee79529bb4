package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
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

// TestQuotaStress lets clients come, stall, vanish and be refused in all ways
// at once. In the end everything is given back and the quota was kept.
func TestQuotaStress(t *testing.T) {
	const total = 256 << 10
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 8 << 10, Total: total, Wait: 2 * time.Millisecond, Store: store})
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
	w := s.Create(ctx)
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

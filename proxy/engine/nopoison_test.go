package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestNoPoison checks failures for which the object is not to blame.
func TestNoPoison(t *testing.T) {
	tests := []struct {
		name   string
		answer func(ctx context.Context) error
		within time.Duration
		cancel bool
		off    bool
	}{
		{name: "refused", answer: func(context.Context) error { return errRefused }},
		{name: "the engine's own error", answer: func(context.Context) error {
			return &backends.Failure{Category: backends.Interrupted, Text: "scan timeout"}
		}},
		{name: "an error of the object", answer: func(context.Context) error {
			return &backends.ObjectError{Doing: "reading the object", Err: backends.ErrNoReply}
		}},
		{name: "called off", cancel: true, answer: func(ctx context.Context) error {
			<-ctx.Done()
			return backends.ErrNoReply
		}},
		{name: "little time", within: time.Second, answer: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}},
		{name: "switched off", off: true, answer: func(context.Context) error { return backends.ErrNoReply }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeEngine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
					return backends.Result{}, tt.answer(ctx)
				}}
				cfg := withPoison(f)
				if tt.off {
					cfg.PoisonTime = 0
				}
				e := New(cfg)
				run(t, e)
				for range 5 {
					synctest.Wait()
					limit := time.Minute
					if tt.within > 0 {
						limit = tt.within
					}
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					if tt.cancel {
						time.AfterFunc(9*time.Second, cancel)
					}
					e.Scan(ctx, text("x"), false)
					cancel()
					time.Sleep(time.Minute)
				}
				if listed := e.poison.HasSize(text("x").Size(), time.Hour); f.asked() != 5 || listed {
					t.Errorf("asked %d times, on the list: %v", f.asked(), listed)
				}
			})
		})
	}
}

// counted counts how often it is read.
type counted struct {
	*textObject
	reads atomic.Int64
	hang  chan struct{} // reads wait for it to be closed, if not nil
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	if c.hang != nil {
		<-c.hang
	}
	return c.textObject.ReadAt(p, off)
}

// TestPoisonReads checks that objects are hashed only when one of their size is on the
// list, and that a scan does not wait for a read that hangs.
func TestPoisonReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error
		f := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Clean(0), answer
		})
		cfg := withPoison(f)
		cfg.Canary = false
		e := New(cfg)
		defer e.Close()
		reads := func(s string) int64 {
			c := &counted{textObject: text(s)}
			e.Scan(t.Context(), c, false)
			synctest.Wait() // the hash is complete before its reference is released
			if n := c.users.Load(); n != 0 {
				t.Errorf("the object has %d users", n)
			}
			return c.reads.Load()
		}
		if n := reads("four"); n != 0 {
			t.Errorf("%d reads with an empty list", n)
		}
		answer = backends.ErrNoReply
		if n := reads("bomb"); n == 0 {
			t.Error("not hashed after a death")
		}
		answer = nil
		time.Sleep(time.Minute)
		if n := reads("another"); n != 0 {
			t.Errorf("%d reads of an object of another size", n)
		}
		if n := reads("four"); n == 0 {
			t.Error("not hashed, with one of the same size on the list")
		}
		c := &counted{textObject: text("slow"), hang: make(chan struct{})}
		begin := time.Now()
		r := e.Scan(within(t, 3*time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("the scan waited %v for a read that hangs", took)
		}
		close(c.hang)
		synctest.Wait()
		if n := c.users.Load(); n != 0 {
			t.Errorf("the object has %d users", n)
		}
		wantIdle(t, e)
	})
}

// TestNoPoisonOnOverload has an engine that closes connections when it is overloaded, and
// answers the others: no object is to blame.
func TestNoPoisonOnOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		busy := &fakeEngine{answer: func(context.Context, backends.Object) (backends.Result, error) {
			defer running.Add(-1)
			if running.Add(1) > 4 {
				return backends.Result{}, backends.ErrNoReply
			}
			time.Sleep(100 * time.Millisecond)
			return backends.Clean(0), nil
		}}
		e := New(withPoison(busy))
		run(t, e)
		synctest.Wait()
		for range 5 {
			var scans sync.WaitGroup
			for i := range 10 {
				scans.Go(func() { e.Scan(t.Context(), text(fmt.Sprint("mail ", i)), false) })
			}
			scans.Wait()
		}
		if e.poison.HasSize(text("mail 0").Size(), time.Hour) {
			t.Error("a mail is on the list")
		}
	})
}

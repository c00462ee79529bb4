package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// bomb makes an engine die on some objects: on all that begin with "bomb". Objects that
// begin with "tar" hang.
func bomb(e *engine) {
	e.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
		switch data := string(read(o)); {
		case strings.HasPrefix(data, "bomb"):
			return backends.Result{}, fmt.Errorf("fake: %w", backends.ErrNoReply)
		case strings.HasPrefix(data, "tar"):
			<-ctx.Done()
			return backends.Result{}, ctx.Err()
		}
		return backends.Clean(0), nil
	}
}

// withPoison is config with a poison time and health checks.
func withPoison(engines ...backends.Backend) Config {
	c := withCanary(engines...)
	c.PoisonTime = 15 * time.Minute
	return c
}

func wantWithheld(t *testing.T, u *Engine, s string, want bool) {
	t.Helper()
	r := u.Scan(t.Context(), content(s), false)
	got := r.Err != nil && strings.Contains(r.Err.Error(), "key poison_time")
	if got != want {
		t.Errorf("%q: result %+v, error %v; want it withheld: %v", s, r.Result, r.Err, want)
	}
	if got {
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
	}
}

// TestPoison has an engine die three times on an object, which then is not given to it
// until poison_time is over, and after the next death not again.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		bomb(e)
		cfg, log := withPoison(e), &lines{}
		cfg.Log = zerolog.New(log)
		u := New(cfg)
		run(t, u)
		for range 3 {
			synctest.Wait() // until the node is up
			wantWithheld(t, u, "bomb", false)
			time.Sleep(time.Minute)
		}
		if s := u.Status(); e.asked() != 3 || s.Withheld != 1 {
			t.Errorf("asked %d times, %d withheld", e.asked(), s.Withheld)
		}
		r := u.Scan(t.Context(), content("bomb"), false)
		const text = "not given to this engine for another 14m0s: it died or hung 3 times while scanning this object (key poison_time)"
		if r.Err == nil || r.Err.Error() != text || e.asked() != 3 {
			t.Errorf("error %v", r.Err)
		}
		wantWithheld(t, u, "good", false) // of the same size
		sum := sha256.Sum256([]byte("bomb"))
		if n := log.count(`"message":"object withheld"`, hex.EncodeToString(sum[:])); n != 1 {
			t.Errorf("logged %d times", n)
		}

		time.Sleep(14 * time.Minute)
		wantWithheld(t, u, "bomb", false)
		time.Sleep(time.Minute)
		wantWithheld(t, u, "bomb", true)
		if e.asked() != 5 {
			t.Errorf("asked %d times", e.asked())
		}
		time.Sleep(time.Hour)
		e.set(func(e *engine) { e.answer = nil })
		wantWithheld(t, u, "good", false)
		if s := u.Status(); s.Withheld != 0 || u.poison.Len() != 0 {
			t.Errorf("%d withheld, %d suspects after the time is over", s.Withheld, u.poison.Len())
		}
	})
}

// TestPoisonReplays checks that deaths count over all nodes and replays of one scan, and
// that a reload does not forget them.
func TestPoisonReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := []*engine{{}, {}, {}, {}}
		for _, e := range engines {
			bomb(e)
		}
		cfg := withPoison(engines[0], engines[1], engines[2], engines[3])
		for i := range cfg.Nodes {
			cfg.Nodes[i].Identity = "same"
		}
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		wantWithheld(t, u, "bomb", false)
		asked := 0
		for _, e := range engines {
			asked += e.asked()
		}
		if asked != 3 {
			t.Errorf("put to %d nodes", asked)
		}
		next := New(cfg)
		if !next.Succeed(u) {
			t.Fatal("not the same engine")
		}
		wantWithheld(t, next, "bomb", true)
		wantWithheld(t, next, "good", false)
	})
}

// TestPoisonTogether has objects in flight die with the one that kills the engine. It
// is caught at the third death; they are scanned in between.
func TestPoisonTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		life, kill := context.WithCancel(t.Context())
		e := &engine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
			mu.Lock()
			mine := life
			mu.Unlock()
			if strings.HasPrefix(string(read(o)), "bomb") {
				time.Sleep(10 * time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				kill()
				life, kill = context.WithCancel(t.Context())
				return backends.Result{}, backends.ErrNoReply
			}
			select {
			case <-mine.Done():
				return backends.Result{}, backends.ErrNoReply
			case <-time.After(100 * time.Millisecond):
				return backends.Clean(0), nil
			}
		}}
		u := New(withPoison(e))
		run(t, u)
		var wg sync.WaitGroup
		all := func(names ...string) {
			synctest.Wait()
			for _, name := range names {
				wg.Go(func() { wantWithheld(t, u, name, false) })
			}
			wg.Wait()
			time.Sleep(time.Minute)
		}
		for range 3 {
			all("bomb", "aaaa", "bbbb", "cccc")
			all("aaaa", "bbbb", "cccc")
		}
		wantWithheld(t, u, "bomb", true)
		for _, innocent := range []string{"aaaa", "bbbb", "cccc"} {
			wantWithheld(t, u, innocent, false)
		}
		mu.Lock()
		kill()
		mu.Unlock()
	})
}

// TestPoisonHang checks that an object that alone hangs the engine is caught, and that
// objects that hang with everything else are not.
func TestPoisonHang(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			e := &engine{}
			bomb(e)
			u := New(withPoison(e))
			run(t, u)
			synctest.Wait()
			for range 4 {
				var wg sync.WaitGroup
				e.set(func(e *engine) {
					if stopped {
						e.hold, e.gate = make(chan struct{}), make(chan struct{})
					}
				})
				for _, name := range []string{"tar", "mail", "post"} {
					wg.Go(func() { u.Scan(t.Context(), content(name), false) })
				}
				wg.Wait()
				time.Sleep(30 * time.Second)
				e.set(func(e *engine) { e.hold, e.gate = nil, nil })
				time.Sleep(2 * time.Minute)
			}
			wantWithheld(t, u, "tar", !stopped)
			wantWithheld(t, u, "mail", false)
			wantWithheld(t, u, "post", false)
		})
	}
}

// TestPoisonHangWithoutCheck has other scans, not a health check, show that the engine
// was alive while one object hung, before or after its time was over.
func TestPoisonHangWithoutCheck(t *testing.T) {
	for _, after := range []time.Duration{-2 * time.Second, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			e := &engine{}
			bomb(e)
			cfg := withPoison(e)
			cfg.Canary = false
			u := New(cfg)
			run(t, u)
			for range 3 {
				time.AfterFunc(cfg.Timeout+after, func() { wantWithheld(t, u, "mail", false) })
				u.Scan(t.Context(), content("tar"), false)
				time.Sleep(5 * time.Second)
			}
			wantWithheld(t, u, "tar", true)
		})
	}
}

// TestNoPoison checks failures that are not held against the object.
func TestNoPoison(t *testing.T) {
	tests := []struct {
		name   string
		answer func(ctx context.Context) error
		within time.Duration
		cancel bool
		off    bool
	}{
		{name: "refused", answer: func(context.Context) error { return errRefused }},
		{name: "the engine's words", answer: func(context.Context) error {
			return &backends.Failure{Category: backends.Interrupted, Text: "scan timeout"}
		}},
		{name: "our own error", answer: func(context.Context) error {
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
				e := &engine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
					return backends.Result{}, tt.answer(ctx)
				}}
				cfg := withPoison(e)
				if tt.off {
					cfg.PoisonTime = 0
				}
				u := New(cfg)
				run(t, u)
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
					u.Scan(ctx, content("x"), false)
					cancel()
					time.Sleep(time.Minute)
				}
				if e.asked() != 5 || u.poison.Len() != 0 {
					t.Errorf("asked %d times, %d suspects", e.asked(), u.poison.Len())
				}
			})
		})
	}
}

// counted counts what is read of it.
type counted struct {
	*text
	reads atomic.Int64
	hang  chan struct{} // reads wait for it, if not nil
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads.Add(1)
	if c.hang != nil {
		<-c.hang
	}
	return c.text.ReadAt(p, off)
}

// TestPoisonReads checks that an object is hashed only when one of its size is suspect,
// and that a read that hangs does not keep the scan.
func TestPoisonReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error
		e := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
			return backends.Clean(0), answer
		})
		cfg := withPoison(e)
		cfg.Canary = false
		u := New(cfg)
		defer u.Close()
		reads := func(s string) int64 {
			c := &counted{text: content(s)}
			u.Scan(t.Context(), c, false)
			if n := c.users.Load(); n != 0 {
				t.Errorf("the object has %d users", n)
			}
			return c.reads.Load()
		}
		if n := reads("four"); n != 0 {
			t.Errorf("%d reads without suspects", n)
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
			t.Error("not hashed, with a suspect of the same size")
		}
		c := &counted{text: content("slow"), hang: make(chan struct{})}
		begin := time.Now()
		r := u.Scan(within(t, 3*time.Second), c, false)
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("a read that hangs kept the scan for %v", took)
		}
		close(c.hang)
		synctest.Wait()
		if n := c.users.Load(); n != 0 {
			t.Errorf("the object has %d users", n)
		}
		wantIdle(t, u)
	})
}

// TestPoisonOfABusyEngine has an engine that closes connections when it has too much to
// do, and answers the others: nothing is withheld.
func TestPoisonOfABusyEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running atomic.Int32
		busy := &engine{answer: func(context.Context, backends.Object) (backends.Result, error) {
			defer running.Add(-1)
			if running.Add(1) > 4 {
				return backends.Result{}, backends.ErrNoReply
			}
			time.Sleep(100 * time.Millisecond)
			return backends.Clean(0), nil
		}}
		u := New(withPoison(busy))
		run(t, u)
		synctest.Wait()
		for range 5 {
			var scans sync.WaitGroup
			for i := range 10 {
				scans.Go(func() { u.Scan(t.Context(), content(fmt.Sprint("mail ", i)), false) })
			}
			scans.Wait()
		}
		if n := u.poison.Len(); n != 0 {
			t.Errorf("%d suspects", n)
		}
	})
}

// TestPoisonAmongOthers has an object that kills an engine with everything that it scans.
func TestPoisonAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var killed chan struct{}
		e := &engine{answer: func(_ context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "bomb" {
				time.Sleep(10 * time.Millisecond)
				close(killed)
			}
			<-killed
			return backends.Result{}, backends.ErrNoReply
		}}
		cfg := withPoison(e)
		cfg.MaxScans = 64 // enough for all of them, however often it is halved
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		for strike := range poison.MaxStrikes {
			killed = make(chan struct{})
			var scans sync.WaitGroup
			for i := range 3 {
				scans.Go(func() { u.Scan(t.Context(), content(fmt.Sprint("mail ", strike, i)), false) })
			}
			scans.Go(func() { u.Scan(t.Context(), content("bomb"), false) })
			scans.Wait()
			synctest.Wait()
		}
		wantWithheld(t, u, "bomb", true)
	})
}

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/poison"
)

// bomb makes an engine die on objects that begin with "bomb", and hang on objects that
// begin with "tar".
func bomb(f *fakeEngine) {
	f.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
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

// withPoison is config with health checks and a poison time.
func withPoison(engines ...backends.Backend) Config {
	c := withCanary(engines...)
	c.PoisonTime = 15 * time.Minute
	return c
}

func wantWithheld(t *testing.T, e *Engine, s string, want bool) {
	t.Helper()
	r := e.Scan(t.Context(), text(s), false)
	got := r.Err != nil && strings.Contains(r.Err.Error(), "key poison_time")
	if got != want {
		t.Errorf("%q: result %+v, error %v; want withheld: %v", s, r.Result, r.Err, want)
	}
	if got {
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
	}
}

// TestPoison has an engine die three times on an object. The object is withheld until
// poison_time is over, and again after the next death.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		bomb(f)
		cfg, log := withPoison(f), &lines{}
		cfg.Log = zerolog.New(log)
		e := New(cfg)
		run(t, e)
		for range 3 {
			synctest.Wait() // for the node to be up
			wantWithheld(t, e, "bomb", false)
			time.Sleep(time.Minute)
		}
		if s := e.Status(); f.asked() != 3 || s.Withheld != 1 {
			t.Errorf("asked %d times, %d withheld", f.asked(), s.Withheld)
		}
		r := e.Scan(t.Context(), text("bomb"), false)
		const withheld = "not given to this engine for another 14m0s: it died or hung 3 times while scanning this object (key poison_time)"
		if r.Err == nil || r.Err.Error() != withheld || f.asked() != 3 {
			t.Errorf("error %v", r.Err)
		}
		wantWithheld(t, e, "good", false) // it has the same size
		sum := sha256.Sum256([]byte("bomb"))
		if n := log.count(`"message":"object withheld"`, hex.EncodeToString(sum[:])); n != 1 {
			t.Errorf("logged %d times", n)
		}

		time.Sleep(14 * time.Minute)
		wantWithheld(t, e, "bomb", false)
		time.Sleep(time.Minute)
		wantWithheld(t, e, "bomb", true)
		if f.asked() != 5 {
			t.Errorf("asked %d times", f.asked())
		}
		time.Sleep(time.Hour)
		f.set(func(f *fakeEngine) { f.answer = nil })
		wantWithheld(t, e, "good", false)
		for _, object := range []string{"bomb", "good"} {
			if e.poison.HasSize(text(object).Size(), cfg.PoisonTime) {
				t.Errorf("%q is on the list after the time is over", object)
			}
		}
		if s := e.Status(); s.Withheld != 0 {
			t.Errorf("%d withheld after the time is over", s.Withheld)
		}
	})
}

// TestPoisonTwice has a scan that is two deaths, because a kept connection broke first. The next
// one uses none, so that there are three deaths in all.
func TestPoisonTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		deaths := 0
		f.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
			switch data := string(read(o)); {
			case !strings.HasPrefix(data, "bomb"):
				return backends.Clean(0), nil
			case backends.IsSuspect(ctx):
				deaths++
				return backends.Result{}, fmt.Errorf("fake: %w", backends.ErrNoReply)
			}
			deaths += 2
			return backends.Result{}, fmt.Errorf("fake: %w", backends.Twice(backends.ErrNoReply))
		}
		cfg := withPoison(f)
		e := New(cfg)
		run(t, e)
		for range 2 {
			synctest.Wait() // for the node to be up
			wantWithheld(t, e, "bomb", false)
			time.Sleep(time.Minute)
		}
		wantWithheld(t, e, "bomb", true)
		if deaths != poison.MaxFailures {
			t.Errorf("%d deaths", deaths)
		}
		drain(e)
	})
}

// TestPoisonReplays checks that deaths on all nodes count, also those of one scan, and that
// a new configuration keeps them.
func TestPoisonReplays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engines := []*fakeEngine{{}, {}, {}, {}}
		for _, f := range engines {
			bomb(f)
		}
		cfg := withPoison(engines[0], engines[1], engines[2], engines[3])
		for i := range cfg.Nodes {
			cfg.Nodes[i].Identity = "same"
		}
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		wantWithheld(t, e, "bomb", false)
		asked := 0
		for _, f := range engines {
			asked += f.asked()
		}
		if asked != 3 {
			t.Errorf("put to %d nodes", asked)
		}
		next := New(cfg)
		if !next.Succeed(e) {
			t.Fatal("not the same engine")
		}
		wantWithheld(t, next, "bomb", true)
		wantWithheld(t, next, "good", false)
	})
}

// TestPoisonTogether has other objects die with the one that kills the engine. It is
// withheld after the third death. The others are scanned in between, which clears them.
func TestPoisonTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		life, kill := context.WithCancel(t.Context())
		f := &fakeEngine{answer: func(ctx context.Context, o backends.Object) (backends.Result, error) {
			mu.Lock()
			current := life
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
			case <-current.Done():
				return backends.Result{}, backends.ErrNoReply
			case <-time.After(100 * time.Millisecond):
				return backends.Clean(0), nil
			}
		}}
		e := New(withPoison(f))
		run(t, e)
		var wg sync.WaitGroup
		all := func(names ...string) {
			synctest.Wait()
			for _, name := range names {
				wg.Go(func() { wantWithheld(t, e, name, false) })
			}
			wg.Wait()
			time.Sleep(time.Minute)
		}
		for range 3 {
			all("bomb", "aaaa", "bbbb", "cccc")
			all("aaaa", "bbbb", "cccc")
		}
		wantWithheld(t, e, "bomb", true)
		for _, innocent := range []string{"aaaa", "bbbb", "cccc"} {
			wantWithheld(t, e, innocent, false)
		}
		mu.Lock()
		kill()
		mu.Unlock()
	})
}

// TestPoisonHang checks that an object on which the engine hangs is withheld, but no object
// if the engine hangs on all of them.
func TestPoisonHang(t *testing.T) {
	for _, stopped := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeEngine{}
			bomb(f)
			e := New(withPoison(f))
			run(t, e)
			synctest.Wait()
			for range 4 {
				var wg sync.WaitGroup
				f.set(func(f *fakeEngine) {
					if stopped {
						f.hold, f.gate = make(chan struct{}), make(chan struct{})
					}
				})
				for _, name := range []string{"tar", "mail", "post"} {
					wg.Go(func() { e.Scan(t.Context(), text(name), false) })
				}
				wg.Wait()
				time.Sleep(30 * time.Second)
				f.set(func(f *fakeEngine) { f.hold, f.gate = nil, nil })
				time.Sleep(2 * time.Minute)
			}
			wantWithheld(t, e, "tar", !stopped)
			wantWithheld(t, e, "mail", false)
			wantWithheld(t, e, "post", false)
		})
	}
}

// TestPoisonHangWithoutCheck has other scans, not health checks, show that the engine was
// alive while it hung on one object, before or after that timed out.
func TestPoisonHangWithoutCheck(t *testing.T) {
	for _, after := range []time.Duration{-2 * time.Second, 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			f := &fakeEngine{}
			bomb(f)
			cfg := withPoison(f)
			cfg.Canary = false
			e := New(cfg)
			run(t, e)
			for range 3 {
				time.AfterFunc(cfg.Timeout+after, func() { wantWithheld(t, e, "mail", false) })
				e.Scan(t.Context(), text("tar"), false)
				time.Sleep(5 * time.Second)
			}
			wantWithheld(t, e, "tar", true)
		})
	}
}

// TestPoisonAmongOthers has an object that kills an engine together with all other scans.
func TestPoisonAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var killed chan struct{}
		f := &fakeEngine{answer: func(_ context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) == "bomb" {
				time.Sleep(10 * time.Millisecond)
				close(killed)
			}
			<-killed
			return backends.Result{}, backends.ErrNoReply
		}}
		cfg := withPoison(f)
		cfg.MaxScans = 64 // enough for all scans, however often it is halved
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		for strike := range poison.MaxFailures {
			killed = make(chan struct{})
			var scans sync.WaitGroup
			for i := range 3 {
				scans.Go(func() { e.Scan(t.Context(), text(fmt.Sprint("mail ", strike, i)), false) })
			}
			scans.Go(func() { e.Scan(t.Context(), text("bomb"), false) })
			scans.Wait()
			synctest.Wait()
		}
		wantWithheld(t, e, "bomb", true)
	})
}

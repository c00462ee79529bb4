package engine

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/testfile"
)

// missesEICAR is the reason of a node that is blind.
const missesEICAR = "does not find the EICAR test file"

// withCanary is config with a canary.
func withCanary(engines ...backends.Backend) Config {
	c := config(engines...)
	c.Canary = true
	return c
}

// run starts u.Run until the test is over.
func run(t *testing.T, u *Engine) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { u.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done; u.Close() })
}

// wantState checks what the status says of the nodes.
func wantState(t *testing.T, u *Engine, want ...string) {
	t.Helper()
	for i, n := range u.Status().Nodes {
		if n.State != want[i] || want[i] != "unknown" && (n.Reason == "") != (want[i] == "up") {
			t.Errorf("node %s is %s (%q), want %s", n.Address, n.State, n.Reason, want[i])
		}
	}
}

// TestNoCanary checks an engine without canary: a dead node is left alone for
// a pause, also when there is no other.
func TestNoCanary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &engine{err: errRefused}, &engine{}
		u := New(config(a, b))
		run(t, u)
		for range 5 {
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		}
		if a.asked() != 1 || b.asked() != 5 {
			t.Errorf("asked %d and %d", a.asked(), b.asked())
		}
		wantState(t, u, "down", "up")
		b.set(func(e *engine) { e.err = errRefused })
		for range 2 { // the second fails without being put to anybody
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.CannotExecute)
		}
		if a.asked() != 1 || b.asked() != 6 {
			t.Errorf("asked %d and %d", a.asked(), b.asked())
		}
		a.set(func(e *engine) { e.err = nil })
		time.Sleep(2 * health.FirstPause)
		for range 2 { // one of them finds b
			r := u.Scan(t.Context(), content("x"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
		}
		wantState(t, u, "up", "down")
		time.Sleep(time.Minute)
		b.set(func(e *engine) { e.err = nil })
		for range 2 {
			u.Scan(t.Context(), content("x"), false)
		}
		if len(a.proved())+len(b.proved()) != 0 {
			t.Error("a canary was asked")
		}
		wantState(t, u, "up", "up")
	})
}

// TestFirstScanWaits checks that the first scan waits for the first canary, even
// if nobody runs Run, and no longer than it may.
func TestFirstScanWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{hold: make(chan struct{})}
		u := New(withCanary(e))
		defer u.Close()
		r := u.Scan(within(t, time.Second), content("x"), false)
		if r.Err == nil || r.Err.Error() != "no answer to the test files within 1s, and no other node" {
			t.Errorf("error %v", r.Err)
		}
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		wantState(t, u, "unknown")
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				r := u.Scan(t.Context(), content("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
			})
		}
		synctest.Wait()
		if e.asked() != 0 {
			t.Error("scanned before the canary came back")
		}
		close(e.hold)
		wg.Wait()
		if n := len(e.proved()); n != 1 || e.asked() != 100 || e.most > 10 {
			t.Errorf("%d canaries, %d scans, %d at once", n, e.asked(), e.most)
		}
		wantState(t, u, "up")
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestBlind checks that an engine that does not find the test file is never
// asked, whatever it answers, until it does.
func TestBlind(t *testing.T) {
	for _, category := range []backends.Category{backends.OK, backends.Partial, backends.Encrypted} {
		t.Run(string(category), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				blind, scans := true, 0
				b := backends.Func(func(_ context.Context, o backends.Object) (backends.Result, error) {
					mu.Lock()
					defer mu.Unlock()
					if string(read(o)) == "mail" {
						scans++
						return backends.Clean(0), nil
					}
					if blind && bytes.Equal(read(o), testfile.EICAR()) {
						return backends.Result{Category: category}, nil
					}
					return judged(read(o)), nil
				})
				u := New(withCanary(b))
				run(t, u)
				for range 20 {
					r := u.Scan(within(t, time.Minute), content("mail"), false)
					wantCategory(t, r.Result, r.Err, backends.SWErr)
					if r.Err == nil || r.Err.Error() != missesEICAR || r.Node != "a" {
						t.Errorf("node %q error %v", r.Node, r.Err)
					}
					time.Sleep(time.Second)
				}
				wantState(t, u, "down")
				mu.Lock()
				blind = false
				if scans != 0 {
					t.Errorf("a blind engine was asked %d times", scans)
				}
				mu.Unlock()
				time.Sleep(30 * time.Second) // no longer between canaries
				r := u.Scan(within(t, time.Minute), content("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				wantState(t, u, "up")
			})
		})
	}
}

// TestBlindStaysBlind has a blind engine die and come back as blind as before.
func TestBlindStaysBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{blind: true}
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		for _, err := range []error{errRefused, nil, errors.New("odd"), nil} {
			e.set(func(e *engine) { e.err = err })
			for range 100 {
				r := u.Scan(within(t, time.Second), content("x"), false)
				if r.Err == nil {
					t.Fatal("a blind engine gave a result")
				}
				time.Sleep(time.Second)
			}
		}
		if n := len(e.proved()); e.asked() != 0 || n < 10 || n > 130 {
			t.Errorf("asked %d times, %d canaries", e.asked(), n)
		}
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestGoesBlind has an engine go blind while scans are under way: its ok is
// worth nothing, even if it dies or sees again before the ok is there, and a
// virus is one all the same.
func TestGoesBlind(t *testing.T) {
	after := map[string]func(e *engine){
		"blind": func(*engine) {},
		"dead":  func(e *engine) { e.canary = errRefused },
		"sees":  func(e *engine) { e.blind = false },
	}
	for name, change := range after {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &engine{gate: make(chan struct{})}
				cfg := withCanary(e)
				cfg.Timeout, cfg.CanaryInterval = time.Hour, time.Minute
				u := New(cfg)
				run(t, u)
				synctest.Wait()
				var wg sync.WaitGroup
				for mail, want := range map[string]backends.Category{"a virus": backends.Virus, "mail": backends.SWErr} {
					wg.Go(func() {
						r := u.Scan(t.Context(), content(mail), false)
						wantCategory(t, r.Result, r.Err, want)
					})
				}
				synctest.Wait()
				e.set(func(e *engine) { e.blind = true }) // the scans began before
				time.Sleep(60*time.Second + 500*time.Millisecond)
				wantState(t, u, "down")
				u.mu.Lock()
				u.markDown(u.nodes[0], errRefused)
				u.mu.Unlock()
				if s := u.Status().Nodes[0]; s.Reason != missesEICAR {
					t.Errorf("reason %q", s.Reason)
				}
				e.set(change)
				time.Sleep(5 * time.Second)
				close(e.gate)
				wg.Wait()
				synctest.Wait()
				wantIdle(t, u)
				if c := u.Status().Nodes[0].Counters; c.Scans != 2 || c.Failures != 1 {
					t.Errorf("counters %+v", c)
				}
			})
		})
	}
}

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
	"polyclam/backends/testfile"
)

// answering is an engine whose answers come from a function; without an answer it behaves as
// a working one.
type answering struct {
	mu     sync.Mutex
	answer func(data []byte) (r backends.Result, err error, known bool)
}

func (a *answering) set(f func(data []byte) (backends.Result, error, bool)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

// Scan implements backends.Backend.
func (a *answering) Scan(_ context.Context, o backends.Object) (backends.Result, error) {
	data := read(o)
	a.mu.Lock()
	f := a.answer
	a.mu.Unlock()
	if f != nil {
		if r, err, known := f(data); known {
			return r, err
		}
	}
	return judged(data), nil
}

func isControl(data []byte) bool {
	_, ok := testfile.NonceOf(data)
	return ok
}

// TestControl has engines that fail the clean control: none is used, and the reason says
// what is wrong.
func TestControl(t *testing.T) {
	virus := backends.Found(1, "Foo.Bar")
	tests := []struct {
		name   string
		result backends.Result
		err    error
		reason string
	}{
		{"virus", virus, nil, "calls a harmless text a virus: Foo.Bar"},
		{"virus without a name", backends.Result{Category: backends.Virus}, nil, "calls a harmless text a virus"},
		{"suspicious", backends.Found(1, "Heuristics.Broken.X"), nil, "calls a harmless text a virus: Heuristics.Broken.X"},
		{"partial", backends.Found(1, "Heuristics.Limits.Exceeded.MaxFiles"), nil, "calls a harmless text partial: Heuristics.Limits.Exceeded.MaxFiles"},
		{"encrypted", backends.Result{Category: backends.Encrypted}, nil, "calls a harmless text encrypted"},
		{"failure", backends.Result{}, errors.New("out of memory"), "test file (clean text): out of memory"},
		{"failure beside a virus", virus, errors.New("out of memory"), "test file (clean text): out of memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &answering{}
				f.set(func(data []byte) (backends.Result, error, bool) {
					return tt.result, tt.err, isControl(data) || bytes.Equal(data, []byte("mail"))
				})
				e := New(withCanary(f))
				run(t, e)
				synctest.Wait()
				wantState(t, e, "down")
				n := e.Status().Nodes[0]
				if n.Reason != tt.reason || n.Canary.EICAR != "" || n.Canary.Clean == backends.OK {
					t.Errorf("reason %q, canary %+v", n.Reason, n.Canary)
				}
				r := e.Scan(within(t, time.Minute), text("mail"), false)
				if r.Err == nil || r.Result.Category != "" {
					t.Errorf("scanned: %+v, error %v", r.Result, r.Err)
				}
				f.set(nil)
				time.Sleep(31 * time.Second)
				r = e.Scan(within(t, time.Minute), text("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				wantState(t, e, "up")
			})
		})
	}
}

// TestControlStartsFailing: a detection is discarded if the node meanwhile turns out to call
// everything a virus, since clean mail must not be FOUND.
func TestControlStartsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &answering{}
		begun, gate := make(chan struct{}), make(chan struct{})
		cfg := withCanary(backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
			if string(read(o)) != "mail" {
				return f.Scan(ctx, o)
			}
			close(begun)
			<-gate
			return backends.Found(1, "Foo.Bar"), nil
		}))
		cfg.Timeout, cfg.CanaryInterval = time.Hour, time.Minute
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := e.Scan(t.Context(), text("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			if r.Err == nil || r.Result.Category != "" {
				t.Errorf("%+v, error %v", r.Result, r.Err)
			}
		})
		<-begun
		f.set(func(data []byte) (backends.Result, error, bool) { return backends.Found(1, "Foo.Bar"), nil, true })
		time.Sleep(61 * time.Second)
		wantState(t, e, "down")
		close(gate)
		wg.Wait()
	})
}

// TestEICARBlocked: if only EICAR does not get through, the reason says what the cause may
// be. An error that the engine itself reports is left as it is.
func TestEICARBlocked(t *testing.T) {
	const hint = "; the clean text was scanned, so something on the way may block EICAR (canary = false switches the check off)"
	for text, err := range map[string]error{
		"test file (EICAR): gone" + hint: &backends.ConnError{Text: "gone"},
		"test file (EICAR): no memory":   &backends.Failure{Text: "no memory"},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &answering{}
			f.set(func(data []byte) (backends.Result, error, bool) {
				return backends.Result{}, err, bytes.Equal(data, testfile.EICAR())
			})
			e := New(withCanary(f))
			run(t, e)
			synctest.Wait()
			if s := e.Status().Nodes[0]; s.State != "down" || s.Reason != text {
				t.Errorf("%s: %q, want %q", s.State, s.Reason, text)
			}
		})
	}
}

// TestCheckReason: if a check has no answer, the reason names the object, the time and the
// key.
func TestCheckReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := withCanary(&fakeEngine{hold: make(chan struct{})})
		cfg.Timeout = 3 * time.Second
		e := New(cfg)
		run(t, e)
		time.Sleep(4 * time.Second)
		const want = "test file (clean text): no answer within 1.5s, the engine hangs (key timeout)"
		if s := e.Status().Nodes[0]; s.State != "down" || s.Reason != want {
			t.Errorf("%s: %q", s.State, s.Reason)
		}
	})
}

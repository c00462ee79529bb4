package upstream

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

// answering is an engine that gives the answer of its function, and what an honest
// one would give where that has none.
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
func (a *answering) Scan(_ context.Context, c backends.Content) (backends.Result, error) {
	data := read(c)
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

// TestControl has engines that do not know good from bad: none is used, and the
// reason says what is wrong.
func TestControl(t *testing.T) {
	virus := backends.Found(1, "Foo.Bar")
	tests := []struct {
		name   string
		result backends.Result
		err    error
		reason string
	}{
		{"virus", virus, nil, "calls a harmless text a virus: Foo.Bar"},
		{"nameless", backends.Result{Category: backends.Virus}, nil, "calls a harmless text a virus"},
		{"suspicious", backends.Found(1, "Heuristics.Broken.X"), nil, "calls a harmless text a virus: Heuristics.Broken.X"},
		{"partial", backends.Found(1, "Heuristics.Limits.Exceeded.MaxFiles"), nil, "does not scan a harmless text, and says partial: Heuristics.Limits.Exceeded.MaxFiles"},
		{"encrypted", backends.Result{Category: backends.Encrypted}, nil, "does not scan a harmless text, and says encrypted"},
		{"failure", backends.Result{}, errors.New("out of memory"), "test file (clean text): out of memory"},
		{"failure beside a virus", virus, errors.New("out of memory"), "test file (clean text): out of memory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := &answering{}
				e.set(func(data []byte) (backends.Result, error, bool) {
					return tt.result, tt.err, isControl(data) || bytes.Equal(data, []byte("mail"))
				})
				u := New(withCanary(e))
				run(t, u)
				synctest.Wait()
				wantState(t, u, "down")
				n := u.Status().Nodes[0]
				if n.Reason != tt.reason || n.Canary.EICAR != "" || n.Canary.Clean == backends.OK {
					t.Errorf("reason %q, canary %+v", n.Reason, n.Canary)
				}
				r := u.Scan(within(t, time.Minute), content("mail"), false)
				if r.Err == nil || r.Result.Category != "" {
					t.Errorf("scanned: %+v, error %v", r.Result, r.Err)
				}
				e.set(nil)
				time.Sleep(31 * time.Second)
				r = u.Scan(within(t, time.Minute), content("mail"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				wantState(t, u, "up")
			})
		})
	}
}

// TestControlGoesBad: what a node finds while it turns out to call everything a virus
// is thrown away, since clean mail must not be FOUND.
func TestControlGoesBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &answering{}
		begun, gate := make(chan struct{}), make(chan struct{})
		cfg := withCanary(backends.Func(func(ctx context.Context, c backends.Content) (backends.Result, error) {
			if string(read(c)) != "mail" {
				return e.Scan(ctx, c)
			}
			close(begun)
			<-gate
			return backends.Found(1, "Foo.Bar"), nil
		}))
		cfg.Timeout, cfg.CanaryInterval = time.Hour, time.Minute
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := u.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			if r.Err == nil || r.Result.Category != "" {
				t.Errorf("%+v, error %v", r.Result, r.Err)
			}
		})
		<-begun
		e.set(func(data []byte) (backends.Result, error, bool) { return backends.Found(1, "Foo.Bar"), nil, true })
		time.Sleep(61 * time.Second)
		wantState(t, u, "down")
		close(gate)
		wg.Wait()
	})
}

// TestEICARBlocked: where only EICAR does not get through, the reason says what the
// cause may be. An engine's own error is left as it is.
func TestEICARBlocked(t *testing.T) {
	const hint = "; the clean text was scanned, so something on the way may block EICAR (canary = false switches the check off)"
	for text, err := range map[string]error{
		"test file (EICAR): gone" + hint: &backends.ConnError{Text: "gone"},
		"test file (EICAR): no memory":   &backends.Failure{Text: "no memory"},
	} {
		synctest.Test(t, func(t *testing.T) {
			e := &answering{}
			e.set(func(data []byte) (backends.Result, error, bool) {
				return backends.Result{}, err, bytes.Equal(data, testfile.EICAR())
			})
			u := New(withCanary(e))
			run(t, u)
			synctest.Wait()
			if s := u.Status().Nodes[0]; s.State != "down" || s.Reason != text {
				t.Errorf("%s: %q, want %q", s.State, s.Reason, text)
			}
		})
	}
}

// TestCheckReason: the reason of a check without an answer names the object, the time
// and the key.
func TestCheckReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := withCanary(&engine{hold: make(chan struct{})})
		cfg.Timeout = 3 * time.Second
		u := New(cfg)
		run(t, u)
		time.Sleep(4 * time.Second)
		const want = "test file (clean text): no answer within 3s (key timeout)"
		if s := u.Status().Nodes[0]; s.State != "down" || s.Reason != want {
			t.Errorf("%s: %q", s.State, s.Reason)
		}
	})
}

// stopsAt is an engine that looks at the members of an archive in turn, and at no
// more than the first if it stops there.
func stopsAt(locked, deep, archives bool) func(data []byte) (backends.Result, error, bool) {
	return func(data []byte) (backends.Result, error, bool) {
		switch {
		case bytes.Equal(data, testfile.LockedThenEICAR()) && locked, string(data) == "locked mail":
			return backends.Found(1, "Heuristics.Encrypted.Zip"), nil, true
		case bytes.Equal(data, testfile.DeepThenEICAR()) && deep:
			return backends.Found(1, "Heuristics.Limits.Exceeded.MaxRecursion"), nil, true
		case bytes.HasPrefix(data, []byte("PK")) && bytes.Contains(data, testfile.EICAR()) && !archives:
			return backends.Clean(0), nil, true
		}
		return backends.Result{}, nil, false
	}
}

// TestHeuristicsFirst: what a node that stops at the first heuristic calls encrypted
// is suspicious, and encrypted of any other.
func TestHeuristicsFirst(t *testing.T) {
	tests := []struct {
		name                   string
		locked, deep, archives bool
		want                   backends.Category
	}{
		{"honest", false, false, true, backends.Encrypted},
		{"stops at the locked one", true, false, true, backends.Suspicious},
		{"stops at limits", false, true, true, backends.Suspicious},
		{"stops at both", true, true, true, backends.Suspicious},
		{"does not look into archives", true, true, false, backends.Encrypted},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e, log := &answering{}, &lines{}
				e.set(stopsAt(tt.locked, tt.deep, tt.archives))
				cfg := withCanary(e)
				cfg.Log = zerolog.New(log)
				u := New(cfg)
				run(t, u)
				r := u.Scan(within(t, time.Minute), content("locked mail"), false)
				wantCategory(t, r.Result, r.Err, tt.want)
				stops := tt.want == backends.Suspicious
				if got := u.Status().Nodes[0]; got.HeuristicsFirst != stops || got.State != "up" || got.Canary.Encrypted != backends.Encrypted {
					t.Errorf("status %+v", got)
				}
				if stops != strings.Contains(r.Result.Detail, "HeuristicScanPrecedence") || len(r.Result.Findings) != 1 || r.Result.Findings[0].Name == "" {
					t.Errorf("result %+v", r.Result)
				}
				time.Sleep(20 * time.Minute)
				if n := log.count("heuristics first"); stops != (n == 1) || n > 1 {
					t.Errorf("%d lines", n)
				}
				e.set(stopsAt(false, false, true)) // clamd.conf is mended
				time.Sleep(6 * time.Minute)
				r = u.Scan(within(t, time.Minute), content("locked mail"), false)
				wantCategory(t, r.Result, r.Err, backends.Encrypted)
			})
		})
	}
}

// TestHeuristicsKept: a check that cannot find out keeps what is known.
func TestHeuristicsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &answering{}
		e.set(stopsAt(true, false, true))
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		before := u.Status().Nodes[0]
		e.set(func(data []byte) (backends.Result, error, bool) {
			return backends.Result{}, errors.New("busy"), bytes.HasPrefix(data, []byte("PK"))
		})
		time.Sleep(6 * time.Minute)
		after := u.Status().Nodes[0]
		if after.State != "up" || !before.HeuristicsFirst || !after.HeuristicsFirst || after.Canary.Time == before.Canary.Time {
			t.Errorf("before %+v, after %+v", before, after)
		}
	})
}

func TestSuspected(t *testing.T) {
	locked := backends.Finding{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}
	limits := backends.Finding{Name: "Heuristics.Limits.Exceeded.MaxFiles", Category: backends.Partial}
	tests := []struct {
		name string
		in   backends.Result
		want backends.Category
	}{
		{"clean", backends.Clean(0), backends.OK},
		{"encrypted", backends.Result{Category: backends.Encrypted, Findings: []backends.Finding{locked}}, backends.Suspicious},
		{"encrypted, nameless", backends.Result{Category: backends.Encrypted}, backends.Suspicious},
		{"limits", backends.Result{Category: backends.Partial, Findings: []backends.Finding{limits}}, backends.Suspicious},
		{"a refusal for size", backends.Result{Category: backends.Partial}, backends.Partial},
		{"virus", backends.Result{Category: backends.Virus, Findings: []backends.Finding{{Name: "X", Category: backends.Virus}, locked}}, backends.Virus},
		{"nothing, beside an error", backends.Result{}, ""},
	}
	for _, tt := range tests {
		findings := append([]backends.Finding(nil), tt.in.Findings...)
		if got := suspected(tt.in); got.Category != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got.Category, tt.want)
		}
		for i, f := range tt.in.Findings {
			if f != findings[i] {
				t.Errorf("%s: the backend's findings were changed", tt.name)
			}
		}
	}
}

// TestLoop: a clean control that comes back takes its node out, with that reason,
// until a check does not come back.
func TestLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		looping, scans := true, 0
		b := backends.Func(func(_ context.Context, c backends.Content) (backends.Result, error) {
			mu.Lock()
			defer mu.Unlock()
			if !isTestObject(read(c)) {
				scans++
			}
			if looping && CameBack(c, "tcp:127.0.0.1:3310") {
				return backends.Result{}, &backends.Failure{Text: "scan failed"} // what the listener says
			}
			return judged(read(c)), nil
		})
		log := &lines{}
		cfg := withCanary(b, &engine{})
		cfg.Log = zerolog.New(log)
		u := New(cfg)
		run(t, u)
		synctest.Wait()
		wantState(t, u, "down", "up")
		const reason = "asks polyclam itself, through the listener tcp:127.0.0.1:3310"
		if got := u.Status().Nodes[0].Reason; got != reason {
			t.Errorf("reason %q", got)
		}
		for range 4 {
			r := u.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.OK)
			time.Sleep(20 * time.Second)
		}
		if n := log.count("asks polyclam itself"); n != 1 || scans != 0 {
			t.Errorf("%d lines, %d scans", n, scans)
		}
		mu.Lock()
		looping = false
		mu.Unlock()
		time.Sleep(31 * time.Second)
		wantState(t, u, "up", "up")
	})
}

// TestLoopInFlight: what a node finds while it turns out to ask polyclam itself is
// thrown away.
func TestLoopInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var control []byte
		begun, gate := make(chan struct{}), make(chan struct{})
		u := New(withCanary(backends.Func(func(_ context.Context, c backends.Content) (backends.Result, error) {
			data := read(c)
			if isControl(data) {
				control = data
			}
			if string(data) == "mail" {
				close(begun)
				<-gate
				return backends.Found(1, "X"), nil
			}
			return judged(data), nil
		})))
		run(t, u)
		synctest.Wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			r := u.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
			if r.Err == nil || !strings.Contains(r.Err.Error(), "asks polyclam itself") {
				t.Errorf("error %v", r.Err)
			}
		})
		<-begun
		if !CameBack(content(string(control)), "x") {
			t.Error("not recognised")
		}
		close(gate)
		wg.Wait()
	})
}

// TestCameBack: nothing but a nonce of our own is a loop.
func TestCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nonces := make(chan []byte, 10)
		e := &answering{}
		e.set(func(data []byte) (backends.Result, error, bool) {
			if isControl(data) {
				nonces <- bytes.Clone(data)
			}
			return backends.Result{}, nil, false
		})
		u := New(withCanary(e))
		run(t, u)
		synctest.Wait()
		own := <-nonces
		for name, object := range map[string]string{
			"another's":  string(testfile.Clean(testfile.NewNonce())),
			"longer":     string(own) + "x",
			"other text": strings.Repeat("x", testfile.CleanSize),
		} {
			if CameBack(content(object), "a") {
				t.Errorf("%s came back", name)
			}
		}
		wantState(t, u, "up")
		if !CameBack(content(string(own)), "unix:/run/x") { // late, but ours
			t.Error("our own was not recognised")
		}
		wantState(t, u, "down")
		time.Sleep(5 * time.Second)
		wantState(t, u, "up")
	})
}

func TestNoncesAreBounded(t *testing.T) {
	var s nonces
	first := testfile.NewNonce()
	s.add(first, nil, nil)
	var last testfile.Nonce
	for range maxNonces {
		last = testfile.NewNonce()
		s.add(last, nil, nil)
	}
	if _, ok := s.find(first); ok || len(s.origin) != maxNonces {
		t.Errorf("%d nonces, the first is still there: %t", len(s.origin), ok)
	}
	if _, ok := s.find(last); !ok {
		t.Error("the last is not there")
	}
}

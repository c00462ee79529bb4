package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// TestBoth: what a node found stays beside its failure. A virus ends the scan;
// anything else is put to another node, and nothing that was found is dropped.
func TestBoth(t *testing.T) {
	broken := errors.New("virus data missing")
	locked := backends.Found(1, "Heuristics.Encrypted.Zip")
	limits := backends.Found(2, "Heuristics.Limits.Exceeded.MaxFiles")
	nameless := backends.Result{Category: backends.Partial, Code: 9}
	virus := backends.Found(1, "Some.Virus")
	none := backends.Result{}
	tests := []struct {
		name          string
		first, second backends.Result
		err           [2]error
		want          backends.Category
		names         []string
		failed        bool
		asked         int
	}{
		{"a virus beside a failure is final", virus, none, [2]error{broken}, backends.Virus, []string{"Some.Virus"}, true, 1},
		{"encrypted, then ok", locked, backends.Clean(0), [2]error{broken}, backends.Encrypted, []string{"Heuristics.Encrypted.Zip"}, false, 2},
		{"encrypted, then a failure", locked, none, [2]error{broken, broken}, backends.Encrypted, []string{"Heuristics.Encrypted.Zip"}, true, 2},
		{"both find something and fail", limits, locked, [2]error{broken, broken}, backends.Encrypted,
			[]string{"Heuristics.Limits.Exceeded.MaxFiles", "Heuristics.Encrypted.Zip"}, true, 2},
		{"the same twice", locked, locked, [2]error{broken, broken}, backends.Encrypted, []string{"Heuristics.Encrypted.Zip"}, true, 2},
		{"a weaker one without a name", nameless, locked, [2]error{broken, nil}, backends.Encrypted, []string{"", "Heuristics.Encrypted.Zip"}, false, 2},
		{"then a virus", locked, virus, [2]error{broken, broken}, backends.Virus, []string{"Heuristics.Encrypted.Zip", "Some.Virus"}, true, 2},
		{"ok beside a failure is none", backends.Clean(0), none, [2]error{broken, broken}, "", nil, true, 2},
		{"a failure as result with a virus in it", backends.Result{Category: backends.SWErr, Findings: virus.Findings}, none, [2]error{}, backends.Virus, []string{"Some.Virus"}, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			results := []backends.Result{tt.first, tt.second}
			asked := 0
			engine := backends.Func(func(_ context.Context, _ backends.Object) (backends.Result, error) {
				asked++
				return results[asked-1], tt.err[asked-1]
			})
			u := New(config(engine, engine))
			defer u.Close()
			r := u.Scan(t.Context(), content("x"), false)
			var names []string
			for _, f := range r.Result.Findings {
				names = append(names, f.Name)
			}
			if r.Result.Category != tt.want || !slices.Equal(names, tt.names) || (r.Err != nil) != tt.failed || asked != tt.asked {
				t.Errorf("%s %q, error %v, asked %d times", r.Result.Category, names, r.Err, asked)
			}
			wantIdle(t, u)
		})
	}
}

// TestCalledOffConcludesNothing: what a backend says of its connection after it was
// called off says nothing about the node.
func TestCalledOffConcludesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Result{}, &backends.ConnError{Text: "no connection"}
		}}
		u := New(withCanary(e))
		run(t, u)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(CalledOff("the verdict was settled already")) })
		r := u.Scan(ctx, content("x"), false)
		if r.Err == nil || !strings.HasPrefix(r.Err.Error(), "the verdict was settled already") {
			t.Errorf("error %v", r.Err)
		}
		wantState(t, u, "up")
	})
}

// TestConclusions: our own conclusion that a node is gone takes it out, the engine's
// own word does not.
func TestConclusions(t *testing.T) {
	tests := []struct {
		name string
		err  error
		down bool
	}{
		{"connect timeout", &backends.ConnError{Text: "no connection within 5s (key connect_timeout)"}, true},
		{"refused", errRefused, true},
		{"no reply", backends.ErrNoReply, true},
		{"the engine's word", &backends.Failure{Category: backends.CannotExecute, Text: "cannot execute"}, false},
		{"our object", &backends.ObjectError{Doing: "reading the object", Err: errRefused}, false},
		{"odd", errors.New("odd"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := &engine{}, &engine{}
				u := New(withCanary(a, b))
				run(t, u)
				synctest.Wait()
				a.set(func(e *engine) { e.err = tt.err })
				for range 10 {
					r := u.Scan(t.Context(), content("x"), false)
					wantCategory(t, r.Result, r.Err, backends.OK)
				}
				if once := a.asked() == 1; once != tt.down {
					t.Errorf("the first node was asked %d times", a.asked())
				}
				time.Sleep(time.Hour)
				synctest.Wait()
			})
		})
	}
}

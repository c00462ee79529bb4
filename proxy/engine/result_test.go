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

// TestResultWithError: findings that come with an error are kept. A virus ends the scan; after
// anything else another node is asked, and no finding is dropped.
func TestResultWithError(t *testing.T) {
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
		{"both have findings and fail", limits, locked, [2]error{broken, broken}, backends.Encrypted,
			[]string{"Heuristics.Limits.Exceeded.MaxFiles", "Heuristics.Encrypted.Zip"}, true, 2},
		{"the same finding twice", locked, locked, [2]error{broken, broken}, backends.Encrypted, []string{"Heuristics.Encrypted.Zip"}, true, 2},
		{"a weaker finding without a name", nameless, locked, [2]error{broken, nil}, backends.Encrypted, []string{"", "Heuristics.Encrypted.Zip"}, false, 2},
		{"encrypted, then a virus", locked, virus, [2]error{broken, broken}, backends.Virus, []string{"Heuristics.Encrypted.Zip", "Some.Virus"}, true, 2},
		{"ok beside a failure does not count", backends.Clean(0), none, [2]error{broken, broken}, "", nil, true, 2},
		{"a failure as result, with a virus in it", backends.Result{Category: backends.SWErr, Findings: virus.Findings}, none, [2]error{}, backends.Virus, []string{"Some.Virus"}, true, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				results := []backends.Result{tt.first, tt.second}
				asked := 0
				engine := backends.Func(func(_ context.Context, _ backends.Object) (backends.Result, error) {
					asked++
					return results[asked-1], tt.err[asked-1]
				})
				e := New(config(engine, engine))
				defer e.Close()
				r := e.Scan(t.Context(), text("x"), false)
				var names []string
				for _, f := range r.Result.Findings {
					names = append(names, f.Name)
				}
				if r.Result.Category != tt.want || !slices.Equal(names, tt.names) || (r.Err != nil) != tt.failed || asked != tt.asked {
					t.Errorf("%s %q, error %v, asked %d times", r.Result.Category, names, r.Err, asked)
				}
				wantIdle(t, e)
			})
		})
	}
}

// TestCanceledScanKeepsState: a connection error after a scan was called off says nothing
// about the node.
func TestCanceledScanKeepsState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{answer: func(ctx context.Context, _ backends.Object) (backends.Result, error) {
			<-ctx.Done()
			return backends.Result{}, &backends.ConnError{Text: "no connection"}
		}}
		e := New(withCanary(f))
		run(t, e)
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(CalledOff("the verdict was settled already")) })
		r := e.Scan(ctx, text("x"), false)
		if r.Err == nil || !strings.HasPrefix(r.Err.Error(), "the verdict was settled already") {
			t.Errorf("error %v", r.Err)
		}
		wantState(t, e, "up")
	})
}

// TestErrorTakesNodeOut: a connection error takes the node out, an error that the engine
// reports does not.
func TestErrorTakesNodeOut(t *testing.T) {
	tests := []struct {
		name string
		err  error
		down bool
	}{
		{"connect timeout", &backends.ConnError{Text: "no connection within 5s (key connect_timeout)"}, true},
		{"refused", errRefused, true},
		{"no reply", backends.ErrNoReply, true},
		{"the engine's own error", &backends.Failure{Category: backends.CannotExecute, Text: "cannot execute"}, false},
		{"an error of the object", &backends.ObjectError{Doing: "reading the object", Err: errRefused}, false},
		{"unknown", errors.New("odd"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := &fakeEngine{}, &fakeEngine{}
				e := New(withCanary(a, b))
				run(t, e)
				synctest.Wait()
				a.set(func(f *fakeEngine) { f.err = tt.err })
				for range 10 {
					wantScan(t, e, "x", backends.OK)
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

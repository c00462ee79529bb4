package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// selfChecked is an engine that answers self checks.
type selfChecked struct {
	versioned
	upToDate bool
	serr     error
	hangs    bool
}

func (s *selfChecked) SelfCheck(ctx context.Context) (bool, error) {
	if s.hangs {
		<-ctx.Done()
		return false, ctx.Err()
	}
	if s.text == "panic" {
		panic(s.text)
	}
	return s.upToDate, s.serr
}

func TestSelfCheck(t *testing.T) {
	current, loading := &selfChecked{upToDate: true}, &selfChecked{}
	broken, hung := &selfChecked{serr: errors.New("connection refused")}, &selfChecked{hangs: true}
	panics := &selfChecked{versioned: versioned{text: "panic"}}
	tests := []struct {
		name  string
		nodes []backends.Backend
		want  bool
		err   string // part of the error; empty: none
	}{
		{"no clamd", []backends.Backend{&fakeEngine{}, &versioned{text: "one"}}, true, ""},
		{"all up to date", []backends.Backend{current, &fakeEngine{}, current}, true, ""},
		{"one is loading", []backends.Backend{current, loading, current}, false, ""},
		{"one does not answer", []backends.Backend{current, broken}, true, "connection refused"},
		{"one is loading, one does not answer", []backends.Backend{loading, broken}, false, "connection refused"},
		{"one hangs", []backends.Backend{current, hung}, true, "no time left"},
		{"one hangs, one is loading", []backends.Backend{hung, loading}, false, "no time left"},
		{"one panics", []backends.Backend{current, panics}, true, "panicked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := New(config(tt.nodes...))
				defer e.Close()
				got, err := e.SelfCheck(t.Context())
				if got != tt.want {
					t.Errorf("got %v", got)
				}
				if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want %q", err, tt.err)
				}
			})
		})
	}
}

// TestSelfCheckByVersion has a clamd that does not know the command: its version decides.
func TestSelfCheckByVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &selfChecked{serr: errors.ErrUnsupported, versioned: versioned{text: "one"}}
		e := New(config(f))
		defer e.Close()
		check := func(what string, want bool) {
			t.Helper()
			if got, err := e.SelfCheck(t.Context()); got != want || err != nil {
				t.Errorf("%s: %v, %v", what, got, err)
			}
		}
		check("first", true)
		check("same", true)
		f.set(func(*fakeEngine) { f.text = "two" })
		check("changed", false)
		check("same again", true)
		time.Sleep(2 * versionAge)
		wantVersion(t, e, "two")
		f.set(func(*fakeEngine) { f.text = "three" })
		e.Reload(t.Context())
		check("after a reload, when no version is known", true)
		f.set(func(*fakeEngine) { f.verr = errors.New("down") })
		if got, err := e.SelfCheck(t.Context()); !got || err == nil {
			t.Errorf("down: %v, %v", got, err)
		}
	})
}

// TestSelfCheckDropsVersion checks that the version from before signatures are loaded is
// dropped.
func TestSelfCheckDropsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &selfChecked{versioned: versioned{text: "one"}}
		e := New(config(f))
		defer e.Close()
		wantVersion(t, e, "one")
		f.set(func(*fakeEngine) { f.text = "two" })
		if got, err := e.SelfCheck(t.Context()); got || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		wantVersion(t, e, "two")
	})
}

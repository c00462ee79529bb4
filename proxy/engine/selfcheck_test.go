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
		err   string // part of it; empty: none
	}{
		{"no clamd", []backends.Backend{&engine{}, &versioned{text: "one"}}, true, ""},
		{"all up to date", []backends.Backend{current, &engine{}, current}, true, ""},
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
				u := New(config(tt.nodes...))
				defer u.Close()
				got, err := u.SelfCheck(t.Context())
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

// A clamd that does not know the command is judged by its version.
func TestSelfCheckByVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &selfChecked{serr: errors.ErrUnsupported, versioned: versioned{text: "one"}}
		u := New(config(e))
		defer u.Close()
		check := func(what string, want bool) {
			t.Helper()
			if got, err := u.SelfCheck(t.Context()); got != want || err != nil {
				t.Errorf("%s: %v, %v", what, got, err)
			}
		}
		check("first", true)
		check("same", true)
		e.set(func(*engine) { e.text = "two" })
		check("changed", false)
		check("same again", true)
		time.Sleep(2 * versionAge)
		wantVersion(t, u, "two")
		e.set(func(*engine) { e.text = "three" })
		u.Reload(t.Context())
		check("after a reload nothing is known", true)
		e.set(func(*engine) { e.verr = errors.New("down") })
		if got, err := u.SelfCheck(t.Context()); !got || err == nil {
			t.Errorf("down: %v, %v", got, err)
		}
	})
}

// What a node was before it began to load is not its version any more.
func TestSelfCheckDropsVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &selfChecked{versioned: versioned{text: "one"}}
		u := New(config(e))
		defer u.Close()
		wantVersion(t, u, "one")
		e.set(func(*engine) { e.text = "two" })
		if got, err := u.SelfCheck(t.Context()); got || err != nil {
			t.Errorf("%v, %v", got, err)
		}
		wantVersion(t, u, "two")
	})
}

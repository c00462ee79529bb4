package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"

	"polyclam/backends"
)

// selfChecker is an engine that answers self checks.
type selfChecker struct {
	backends.Backend
	upToDate bool
	err      error
}

func (s selfChecker) SelfCheck(context.Context) (bool, error) { return s.upToDate, s.err }

func TestSelfCheck(t *testing.T) {
	down := errors.New("clamd unix:/x: connection refused")
	is := func(upToDate bool, err error) testEngine {
		return testEngine{backend: selfChecker{Backend: eicarEngine(), upToDate: upToDate, err: err}}
	}
	tests := []struct {
		name    string
		engines []testEngine
		change  func(*Config)
		want    string
		log     string
	}{
		{name: "up to date", engines: []testEngine{is(true, nil), eicarOnly(), is(true, nil)}, want: "DBUPTODATE"},
		{name: "one is loading", engines: []testEngine{is(true, nil), is(false, nil)}, want: "RELOADING"},
		{name: "one is loading, another does not answer", engines: []testEngine{is(false, down), is(false, nil)}, want: "RELOADING"},
		{name: "one does not answer", engines: []testEngine{is(true, nil), is(false, down)},
			want: "Not all engines answered the self check. ERROR", log: "connection refused"},
		{name: "off", engines: []testEngine{is(true, nil)}, change: func(c *Config) { c.Listeners[0].ReloadCommand = false }, want: "COMMAND UNAVAILABLE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ts := newServer(t, tt.change, tt.engines...)
			for _, form := range []struct{ prefix, term string }{{"z", "\x00"}, {"n", "\n"}} {
				if got := ts.ask(form.prefix + "SELFCHECK" + form.term); got != tt.want+form.term {
					t.Errorf("%s: got %q, want %q", form.prefix, got, tt.want)
				}
			}
			if !strings.Contains(ts.log.String(), tt.log) {
				t.Errorf("log: %s", ts.log.String())
			}
		})
	}
}

// TestSelfCheckWhileReloading checks that engines are not asked during a reload.
func TestSelfCheckWhileReloading(t *testing.T) {
	ts := newServer(t, nil, testEngine{backend: selfChecker{Backend: eicarEngine(), upToDate: true}})
	ts.reloading.Add(1)
	defer ts.reloading.Add(-1)
	if got := ts.ask("zSELFCHECK\x00"); got != "RELOADING\x00" {
		t.Errorf("got %q", got)
	}
}

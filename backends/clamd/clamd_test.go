package clamd

import (
	"errors"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// open opens a backend for address with a transport.
func open(tb testing.TB, address, transport string) *Backend {
	tb.Helper()
	return backendtest.Open(tb, NewConfig, address, func(c *Config) { c.Transport = transport }).(*Backend)
}

const (
	session  = "zIDSESSION\x00"
	instream = "zINSTREAM\x00\x00\x00\x00\x01x\x00\x00\x00\x00"
)

var (
	say      = func(s string) backendtest.Step { return backendtest.Send(backendtest.Composed(s)) }
	recorded = func(s string) backendtest.Step { return backendtest.Send(backendtest.Recorded("clamd 1.4.6", s)) }
	want     = func(s string) backendtest.Step { return backendtest.Want(backendtest.Composed(s)) }
)

// x is an object of one byte.
func x(tb testing.TB) *backendtest.Object { return backendtest.Bytes(tb, []byte("x")) }

// categories lists the categories of a result and an error.
func categories(r backends.Result, err error) string {
	all := []string{}
	if r.Category != "" {
		all = append(all, string(r.Category))
	}
	if err != nil {
		all = append(all, string(backends.CategoryOf(err)))
	}
	return strings.Join(all, " ")
}

func TestVersionAndReload(t *testing.T) {
	tests := []struct {
		reply string
		want  backends.Version
	}{
		{"ClamAV 1.4.6", backends.Version{Text: "ClamAV 1.4.6", Engine: "ClamAV 1.4.6"}},
		{"ClamAV 1.4.6/27123/Mon Nov 23 14:20:49 2026", backends.Version{
			Text: "ClamAV 1.4.6/27123/Mon Nov 23 14:20:49 2026", Engine: "ClamAV 1.4.6", Database: "27123",
			DatabaseTime: time.Date(2026, 11, 23, 14, 20, 49, 0, time.Local)}},
		{"ClamAV 1.4.6/27123/Mon Nov  2 04:20:49 2026", backends.Version{
			Text: "ClamAV 1.4.6/27123/Mon Nov  2 04:20:49 2026", Engine: "ClamAV 1.4.6", Database: "27123",
			DatabaseTime: time.Date(2026, 11, 2, 4, 20, 49, 0, time.Local)}},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zVERSION\x00"), say(tt.reply + "\x00")},
			backendtest.Script{want("zRELOAD\x00"), recorded("RELOADING\x00")}, backendtest.Script{want("zRELOAD\x00"), say("COMMAND UNAVAILABLE\x00")})
		b, ctx := open(t, d.Address(), transportAuto), backendtest.Context(t)
		if v, err := b.Version(ctx); err != nil || v != tt.want {
			t.Errorf("got %+v, %v", v, err)
		}
		if err := b.Reload(ctx); err != nil {
			t.Error(err)
		}
		if err := b.Reload(ctx); err == nil || backends.CategoryOf(err) != backends.SWErr {
			t.Errorf("disabled: got %v", err)
		}
	}
}

func TestSelfCheck(t *testing.T) {
	tests := []struct {
		reply       string
		want        bool
		failed      bool
		unsupported bool
	}{
		{reply: "DBUPTODATE", want: true},
		{reply: "RELOADING"},
		{reply: "UNKNOWN COMMAND", failed: true, unsupported: true},
		{reply: "COMMAND UNAVAILABLE", failed: true, unsupported: true},
		{reply: "PONG", failed: true},
		{reply: "DBUPTODATE ERROR", failed: true},
	}
	for _, tt := range tests {
		d := backendtest.StartDaemon(t, "unix", backendtest.Script{want("zSELFCHECK\x00"), say(tt.reply + "\x00")})
		got, err := open(t, d.Address(), transportAuto).SelfCheck(backendtest.Context(t))
		if got != tt.want || (err != nil) != tt.failed || errors.Is(err, errors.ErrUnsupported) != tt.unsupported {
			t.Errorf("%s: got %v, %v", tt.reply, got, err)
		}
	}
}

func TestConfig(t *testing.T) {
	tests := []struct {
		address, transport string
		timeout            time.Duration
		want               string // the transport, or
		err                string // a part of the error
	}{
		{"unix:/s", "auto", 1, "fildes", ""},
		{"tcp:127.0.0.1:3310", "auto", 1, "stream", ""},
		{"unix:/s", "path", 1, "path", ""},
		{"unix:/s", "fildes", 1, "fildes", ""},
		{"tcp:127.0.0.1:3310", "fildes", 1, "", "TCP"},
		{"unix:/s", "carrier-pigeon", 1, "", "carrier-pigeon"},
		{"unix:/s", "auto", 0, "", "connect_timeout"},
		{"", "auto", 1, "", "address"},
		{"/s", "auto", 1, "", "unix:"},
	}
	for _, tt := range tests {
		b, err := (&Config{Transport: tt.transport, ConnectTimeout: tt.timeout}).Open(tt.address)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%+v: got %v", tt, err)
			}
			continue
		}
		if err != nil || b.(*Backend).transport != tt.want {
			t.Errorf("%+v: got %+v, %v", tt, b, err)
		}
	}
	if b, err := NewConfig().Open("unix:/s"); err != nil || b.(*Backend).pool.Disabled {
		t.Errorf("the defaults: %+v, %v", b, err)
	}
}

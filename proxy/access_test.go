package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/protocol/extended"
	"polyclam/proxy/allow"
	"polyclam/proxy/engine"
	"polyclam/test/testkit"
)

// gone reports whether the server closes the connection without a reply.
func gone(t *testing.T, nc net.Conn) bool {
	t.Helper()
	defer nc.Close()
	io.WriteString(nc, "zPING\x00") // may fail: nothing is read
	b, _ := io.ReadAll(nc)
	return len(b) == 0
}

// TestAllow checks that clients that a listener does not allow are disconnected, counted and
// logged once a minute with the entry to add, and that a reload changes who is allowed.
func TestAllow(t *testing.T) {
	self := allow.Entry{Kind: allow.User, ID: uint32(os.Geteuid())}
	other := allow.Entry{Kind: allow.User, ID: self.ID + 1}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Allow = allow.New([]allow.Entry{other}) }, eicarOnly())
	for range 3 {
		if !gone(t, ts.dial()) {
			t.Error("a client that is not allowed got an answer")
		}
	}
	lines := ts.logLines("connection not allowed")
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1: %v", len(lines), lines)
	}
	want := fmt.Sprintf(`if it may connect, add "uid:%d" to allow of this listener`, self.ID)
	if lines[0]["hint"] != want || lines[0]["level"] != "warn" || lines[0]["listener"] != "unix:"+ts.addr {
		t.Errorf("got %v", lines[0])
	}
	cfg := *ts.cfg
	cfg.Listeners = slices.Clone(cfg.Listeners)
	cfg.Listeners[0].Allow = allow.New([]allow.Entry{other, self})
	ts.Apply(&cfg)
	if got := ts.ask("zPING\x00"); got != "PONG\x00" {
		t.Errorf("after a reload: %q", got)
	}
	if got := ts.server().Refusals; got != (extended.Refusals{NotAllowed: 3}) {
		t.Errorf("counted %+v", got)
	}
	testkit.Eventually(t, "all connections return their places", func() bool {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		return ts.places.Open() <= 1 // that of the next connection
	})
}

// TestAllowTCP checks prefixes.
func TestAllowTCP(t *testing.T) {
	for _, tt := range []struct {
		prefix string
		want   bool
	}{{"127.0.0.0/8", true}, {"192.0.2.0/24", false}} {
		ts := newServer(t, func(c *Config) {
			c.Listeners[0].Allow = allow.New([]allow.Entry{{Prefix: netip.MustParsePrefix(tt.prefix)}})
		}, eicarOnly())
		nc, err := net.Dial("tcp", ts.serveTCP("127.0.0.1:0").String())
		if err != nil {
			t.Fatal(err)
		}
		if got := !gone(t, nc); got != tt.want {
			t.Errorf("%s: %v", tt.prefix, got)
		}
		if !tt.want {
			if hint, _ := ts.logLine("connection not allowed")["hint"].(string); !strings.Contains(hint, `add "127.0.0.1" to allow`) {
				t.Errorf("hint %q", hint)
			}
		}
	}
}

// TestCommandSwitches checks each command that a listener may switch off: the reply is that
// of clamd 1.5, and in a session the session ends.
func TestCommandSwitches(t *testing.T) {
	off := func(l *Listener) { l.NoVersionCommand, l.NoStatsCommand, l.Status = true, true, StatusOff }
	ts := newServer(t, func(c *Config) { off(&c.Listeners[0]) }, eicarOnly())
	for _, tt := range []struct{ send, want string }{
		{"zVERSION\x00", "COMMAND UNAVAILABLE\x00"},
		{"nVERSION\n", "COMMAND UNAVAILABLE\n"},
		{"zSTATS\x00", "COMMAND UNAVAILABLE\x00"},
		{"nXSTATUS\n", "COMMAND UNAVAILABLE\nEND\n"},
		{"zPING\x00", "PONG\x00"},
		{"nIDSESSION\nnPING\nnSTATS\nnPING\n", "1: PONG\n2: COMMAND UNAVAILABLE\n"},
		{"nIDSESSION\nnXSTATUS\nnPING\n", "1: COMMAND UNAVAILABLE\n1: END\n"},
		{"nIDSESSION\nnVERSION\nnPING\n", "1: COMMAND UNAVAILABLE\n"},
	} {
		if got := ts.ask(tt.send); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.send, got, tt.want)
		}
	}
	if got := ts.ask("zVERSIONCOMMANDS\x00"); !strings.HasPrefix(got, fallbackVersion+"| COMMANDS: ") {
		t.Errorf("VERSIONCOMMANDS: %q", got)
	}
	for line, key := range map[string]string{"VERSION": "version_command", "STATS": "stats_command", "XSTATUS": "status_command"} {
		if !slices.ContainsFunc(ts.logLines("command refused"), func(l map[string]any) bool {
			reason, _ := l["reason"].(string)
			return l["command"] == line && strings.Contains(reason, "(key "+key+")")
		}) {
			t.Errorf("no line about %s with the key %s", line, key)
		}
	}
}

// TestBriefStatus checks that a brief status has the states and counts, and nothing that
// names addresses, reasons, versions, files or users.
func TestBriefStatus(t *testing.T) {
	const secret = "secret"
	ts := newServer(t, func(c *Config) {
		c.Listeners[0].Status = StatusBrief
		c.Engines = []*engine.Engine{engine.New(engine.Config{
			Name: "fake", Required: true, Nodes: []engine.Node{{Address: "tcp:" + secret + ":1", Backend: eicarEngine()}}, Log: zerolog.Nop(),
		})}
	}, eicarOnly())
	ts.SetAbout(extended.About{Config: secret, ConfigProblem: secret, User: secret, Groups: secret, GIDs: "7", UID: 7, MemoryLimitFrom: secret})
	reply := ts.ask("nXSTATUS\n")
	lines := strings.Split(reply, "\n")
	if len(lines) != 4 || lines[2] != "END" {
		t.Fatalf("got %q", reply)
	}
	first, err := extended.Parse(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	s := first.Server()
	if s.Version != "" || !s.Brief || s.About != (extended.About{}) || s.Requests != 1 || s.SpoolTotal == 0 {
		t.Errorf("got %+v", s)
	}
	second, err := extended.Parse(lines[1])
	if err != nil {
		t.Fatal(err)
	}
	if n := second.Node(); n.Engine != "fake" || n.State == "" || !n.Required {
		t.Errorf("got %+v", n)
	}
	if strings.Contains(reply, secret) {
		t.Errorf("got %q", reply)
	}
}

// TestBriefFields checks each field of a NODE and a SERVER record: a new one is hidden until
// it is added to those that a brief status shows.
func TestBriefFields(t *testing.T) {
	n := briefNode(filled[extended.Node]())
	s := briefServer(filled[extended.Server]())
	for _, tt := range []struct {
		record any
		hidden []string
	}{
		{n, []string{"Address", "Reason", "Version", "DatabaseTime", "CanaryName", "CanaryError", "HeuristicsFirst", "MailUnread", "Scanned", "UnscannedAbove"}},
		{s, []string{"Version"}},
		{s.CacheState, []string{"CacheReason", "CacheHint"}},
		{s.About, []string{"Config", "ConfigTime", "ConfigProblem", "User", "UID", "Groups", "GIDs", "MemoryNeeded", "MemoryLimit", "MemoryLimitFrom"}},
	} {
		v := reflect.ValueOf(tt.record)
		for _, name := range tt.hidden {
			if f := v.FieldByName(name); !f.IsValid() || !f.IsZero() {
				t.Errorf("%T.%s is %v", tt.record, name, f)
			}
		}
	}
	if !n.Drained || n.Mode == "" || n.ConfiguredMode == "" || !s.Draining {
		t.Errorf("what an administrator has taken out of use is missing: %+v, %+v", n, s)
	}
	if s.CacheShared == "" || s.CacheHits == 0 {
		t.Errorf("the cache is missing: %+v", s.CacheState)
	}
	if n.State == "" || n.CanaryEICAR == "" || n.InFlight == 0 || s.Connections == 0 || s.ConfigRefused.IsZero() {
		t.Errorf("states and counts are missing: %+v, %+v", n, s)
	}
}

// filled returns a struct with a value in every field.
func filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem())
	return v
}

func fill(v reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.String:
			f.SetString("x")
		case reflect.Bool:
			f.SetBool(true)
		case reflect.Int64:
			f.SetInt(7)
		case reflect.Struct:
			if f.Type() != reflect.TypeFor[time.Time]() {
				fill(f)
				continue
			}
			f.Set(reflect.ValueOf(at))
		}
	}
}

var at = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

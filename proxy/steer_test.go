package proxy

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/test/testkit"
)

// TestNoEngineOn switches all engines off or to observe: no command answers OK, not even
// where the policy lets failures pass.
func TestNoEngineOn(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	ts := newServer(t, func(c *Config) {
		c.Listeners[0].Policy = policy.Default().WithActions(map[backends.Category]policy.Action{backends.SWErr: policy.OK, backends.Interrupted: policy.OK})
	}, eicarOnly(), testEngine{name: "second", backend: eicarEngine()})
	ts.setMode(0, engine.Off)
	ts.setMode(1, engine.Observe)
	for _, command := range []string{
		"zINSTREAM\x00" + stream("clean", 5), "zXINSTREAM\x00" + stream("clean", 5), "zSCAN " + path + "\x00", "zCONTSCAN " + dir + "\x00",
		"zMULTISCAN " + dir + "\x00", "zALLMATCHSCAN " + path + "\x00", "zXSCAN " + path + "\x00",
	} {
		line, _, _ := strings.Cut(ts.ask(command), "\x00")
		if !strings.HasSuffix(line, " ERROR") {
			t.Errorf("%.20q: %q", command, line)
		}
	}
	want := "no engine of this listener is on: fake has the mode off, second has the mode observe (polyclam engine on NAME)"
	testkit.Eventually(t, "the log has the reason", func() bool { return strings.Contains(ts.log.String(), want) })
	ts.setMode(1, engine.On)
	if got := ts.ask("zINSTREAM\x00" + stream("clean", 5)); got != "stream: OK\x00" {
		t.Errorf("one engine is on: %q", got)
	}
}

// drainable is an engine that counts what it is asked besides scans.
type drainable struct {
	reloader
	checked int
	version string
}

func (d *drainable) SelfCheck(context.Context) (bool, error) { d.checked++; return true, nil }

func (d *drainable) Version(context.Context) (backends.Version, error) {
	return backends.Version{Text: d.version}, nil
}

// TestListenerEngines gives the listener one of two engines.
func TestListenerEngines(t *testing.T) {
	a := &drainable{reloader: reloader{Backend: finds("A")}, version: "ClamAV 1/a"}
	b := &drainable{reloader: reloader{Backend: finds("B")}, version: "ClamAV 1/b"}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Engines = c.Engines[1:] },
		testEngine{name: "a", backend: a}, testEngine{name: "b", backend: b})
	if got := ts.ask("zINSTREAM\x00" + stream("x", 1)); got != "stream: B FOUND\x00" {
		t.Errorf("%q", got)
	}
	if got := ts.ask("zVERSION\x00"); got != "ClamAV 1/b\x00" {
		t.Errorf("VERSION: %q", got)
	}
	if got := ts.ask("zSELFCHECK\x00"); got != "DBUPTODATE\x00" || a.checked != 0 || b.checked != 1 {
		t.Errorf("SELFCHECK: %q, %d and %d checks", got, a.checked, b.checked)
	}
	if got := ts.ask("zRELOAD\x00"); got != "RELOADING\x00" {
		t.Errorf("RELOAD: %q", got)
	}
	testkit.Eventually(t, "b reloads", func() bool { return b.reloads.Load() == 1 })
	if a.reloads.Load() != 0 {
		t.Error("a was reloaded")
	}
	if got := ts.ask("nXSTATUS\n"); !strings.Contains(got, "engine=a ") || !strings.Contains(got, "engine=b ") {
		t.Errorf("XSTATUS: %s", got)
	}
	ts.setMode(1, engine.Observe) // then nothing of its shows
	if got := ts.ask("zVERSION\x00"); got != fallbackVersion+"\x00" {
		t.Errorf("VERSION: %q", got)
	}
	if got := ts.ask("nXSTATUS\n"); !strings.Contains(got, "engine=b backend=fake required=true mode=observe configured_mode=on ") {
		t.Errorf("XSTATUS: %s", got)
	}
}

// TestListenerEnginesReload gives the listener another engine during a command, and then
// removes the listener during another one.
func TestListenerEnginesReload(t *testing.T) {
	engines := func() []testEngine {
		return []testEngine{{name: "a", backend: finds("A")}, {name: "b", backend: finds("B")}}
	}
	ts := newServer(t, func(c *Config) { c.Listeners[0].Engines = c.Engines[:1] }, engines()...)
	send := func(nc net.Conn, text string) {
		t.Helper()
		if _, err := io.WriteString(nc, text); err != nil {
			t.Fatal(err)
		}
	}
	object := "zINSTREAM\x00" + stream("x", 1)
	nc, session := ts.dial(), ts.dial()
	send(nc, object[:14])
	testkit.Eventually(t, "the command", func() bool { return ts.users() == 1 })
	send(session, "zIDSESSION\x00"+object)
	if got := readRecord(t, session, 0); got != "1: stream: A FOUND" {
		t.Errorf("%q", got)
	}
	testkit.Eventually(t, "the end of the other command", func() bool { return ts.users() == 1 })
	next := testConfig("unix:"+ts.addr, engines())
	next.Listeners[0].Engines = next.Engines[1:]
	ts.Apply(next)
	send(nc, object[14:])
	if got := readAll(t, nc); got != "stream: A FOUND\x00" {
		t.Errorf("the command under way: %q", got)
	}
	send(session, object)
	if got := readRecord(t, session, 0); got != "2: stream: B FOUND" {
		t.Errorf("the next command: %q", got)
	}
	none := testConfig("unix:"+ts.addr, engines())
	none.Listeners = nil
	ts.Apply(none) // the session keeps the listener that is gone, with the engines of now
	send(session, object)
	if got := readRecord(t, session, 0); got != "3: stream: B FOUND" {
		t.Errorf("without the listener: %q", got)
	}
	less := testConfig("unix:"+ts.addr, engines()[:1])
	less.Listeners = nil
	ts.Apply(less)
	send(session, object)
	if got := readRecord(t, session, 0); !strings.HasSuffix(got, " ERROR") {
		t.Errorf("without the listener and its engine: %q", got)
	}
	testkit.Eventually(t, "the log", func() bool {
		return strings.Contains(ts.log.String(), "none of this listener's engines exists any more")
	})
}

// TestDrainedEngine drains the only node of a required engine.
func TestDrainedEngine(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	if err := ts.cfg.Engines[0].Drain(""); err != nil {
		t.Fatal(err)
	}
	got := ts.ask("zINSTREAM\x00" + stream("clean", 5))
	if !strings.HasSuffix(got, " ERROR\x00") {
		t.Errorf("%q", got)
	}
	testkit.Eventually(t, "the log", func() bool {
		return strings.Contains(ts.log.String(), "drained by an administrator (polyclam node resume fake)")
	})
	if got := ts.ask("nXSTATUS\n"); !strings.Contains(got, " drained=true ") {
		t.Errorf("XSTATUS: %s", got)
	}
	if err := ts.cfg.Engines[0].Resume(""); err != nil {
		t.Fatal(err)
	}
	if got := ts.ask("zINSTREAM\x00" + stream("clean", 5)); got != "stream: OK\x00" {
		t.Errorf("resumed: %q", got)
	}
}

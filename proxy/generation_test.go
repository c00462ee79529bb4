package proxy

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// closing is an engine that finds its own name in everything, until it is closed.
type closing struct {
	name   string
	gate   chan struct{} // scans wait for it; nil: they do not
	begun  atomic.Int64
	closed atomic.Bool
}

func (c *closing) Scan(context.Context, backends.Object) (backends.Result, error) {
	c.begun.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	if c.closed.Load() {
		return backends.Result{}, io.ErrClosedPipe
	}
	return backends.Found(1, c.name), nil
}

func (c *closing) Close() error {
	c.closed.Store(true)
	return nil
}

// apply gives the server a configuration with these engines only.
func (ts *testServer) apply(engines ...*closing) {
	ts.t.Helper()
	var all []testEngine
	for _, c := range engines {
		all = append(all, testEngine{name: c.name, backend: c})
	}
	ts.Apply(testConfig("unix:"+ts.addr, all))
}

// TestApplyDuringUpload renames the engine twice during an upload: the command keeps the
// one it began with, and that is closed afterwards.
func TestApplyDuringUpload(t *testing.T) {
	a, b, c := &closing{name: "a"}, &closing{name: "b"}, &closing{name: "c"}
	ts := newServer(t, nil, testEngine{name: "a", backend: a})
	first := ts.dial()
	send := func(nc net.Conn, text string) {
		t.Helper()
		if _, err := io.WriteString(nc, text); err != nil {
			t.Fatal(err)
		}
	}
	all := stream("some object", 4)
	send(first, "zINSTREAM\x00"+all[:4])
	testkit.Eventually(t, "the command", func() bool { return ts.users() == 1 })
	ts.apply(b)
	second := ts.dial()
	send(second, "zINSTREAM\x00"+all[:4])
	testkit.Eventually(t, "the second command", func() bool { return ts.users() == 2 })
	ts.apply(c)
	send(second, all[4:])
	if got := readAll(t, second); got != "stream: b FOUND\x00" {
		t.Errorf("second: %q", got)
	}
	if a.closed.Load() {
		t.Error("a was closed during a command that uses it")
	}
	send(first, all[4:])
	if got := readAll(t, first); got != "stream: a FOUND\x00" {
		t.Errorf("first: %q", got)
	}
	testkit.Eventually(t, "a and b closed", func() bool { return a.closed.Load() && b.closed.Load() })
	if got := ts.ask("zINSTREAM\x00" + all); got != "stream: c FOUND\x00" || c.closed.Load() {
		t.Errorf("third: %q", got)
	}
}

// users is how many commands hold a configuration.
func (s *Server) users() (n int) {
	s.generations.mu.Lock()
	defer s.generations.mu.Unlock()
	for _, g := range s.generations.inUse {
		n += g.users
	}
	return n
}

// TestApplyPassedOn has an engine pass to a second configuration and vanish with the
// third: a command of the first one still uses it.
func TestApplyPassedOn(t *testing.T) {
	a := &closing{name: "a"}
	ts := newServer(t, nil, testEngine{name: "a", backend: a})
	nc := ts.dial()
	all := stream("some object", 4)
	if _, err := io.WriteString(nc, "zINSTREAM\x00"+all[:4]); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the command", func() bool { return ts.users() == 1 })
	again := &closing{name: "a"}
	ts.apply(again)
	ts.apply(&closing{name: "other"})
	if again.closed.Load() {
		t.Error("the engine was closed during a command that uses it")
	}
	if _, err := io.WriteString(nc, all[4:]); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, nc); got != "stream: a FOUND\x00" {
		t.Errorf("%q", got)
	}
	testkit.Eventually(t, "the engine closed", again.closed.Load)
}

// TestApplyInSession removes an engine during a scan in a session, which goes on.
func TestApplyInSession(t *testing.T) {
	a, b := &closing{name: "a", gate: make(chan struct{})}, &closing{name: "b"}
	ts := newServer(t, nil, testEngine{name: "a", backend: a})
	nc := ts.dial()
	object := "zINSTREAM\x00" + stream("some object", 4)
	if _, err := io.WriteString(nc, "zIDSESSION\x00"+object); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the scan", func() bool { return a.begun.Load() == 1 })
	ts.apply(b)
	if _, err := io.WriteString(nc, object); err != nil {
		t.Fatal(err)
	}
	if got := readRecord(t, nc, 0); got != "2: stream: b FOUND" {
		t.Errorf("second: %q", got)
	}
	if a.closed.Load() {
		t.Error("a was closed during its scan")
	}
	close(a.gate)
	if got := readRecord(t, nc, 0); got != "1: stream: a FOUND" {
		t.Errorf("first: %q", got)
	}
	testkit.Eventually(t, "a closed", a.closed.Load)
	testkit.Eventually(t, "no users between commands", func() bool { return ts.users() == 0 })
}

// TestApplyWithoutListener removes a listener: its clients are served until its socket is
// closed.
func TestApplyWithoutListener(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	path := filepath.Join(filepath.Dir(ts.addr), "other")
	cfg := testConfig("unix:"+ts.addr, []testEngine{eicarOnly()})
	other := cfg.Listeners[0]
	other.Address = "unix:" + path
	cfg.Listeners = append(cfg.Listeners, other)
	ts.Apply(cfg)
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- ts.Serve(ln, "unix:"+path) }()
	t.Cleanup(func() { ln.Close(); <-served })
	ts.Apply(testConfig("unix:"+ts.addr, []testEngine{eicarOnly()}))
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := io.WriteString(nc, "zPING\x00"); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, nc); got != "PONG\x00" {
		t.Errorf("reply %q", got)
	}
}

// reloader is an engine that counts RELOAD.
type reloader struct {
	backends.Backend
	reloads atomic.Int64
	err     error
}

func (r *reloader) Reload(context.Context) error {
	r.reloads.Add(1)
	return r.err
}

// TestReloadEngines has a slow engine and one that fails: neither keeps the other from
// loading.
func TestReloadEngines(t *testing.T) {
	slow := &neverBack{reloader: reloader{Backend: eicarEngine()}, release: make(chan struct{})}
	bad := &reloader{Backend: eicarEngine(), err: io.ErrUnexpectedEOF}
	ts := newServer(t, nil, testEngine{name: "slow", backend: slow}, testEngine{name: "bad", backend: bad})
	for i := range int64(3) {
		if got := ts.ask("zRELOAD\x00"); got != "RELOADING\x00" {
			t.Errorf("reply %q", got)
		}
		testkit.Eventually(t, "the other engine", func() bool { return bad.reloads.Load() == i+1 && ts.reloading.Load() == 1 })
	}
	close(slow.release)
	testkit.Eventually(t, "the end", func() bool { return ts.reloading.Load() == 0 })
	if n := slow.reloads.Load(); n != 2 {
		t.Errorf("the slow engine has loaded %d times, want twice", n)
	}
	if log := ts.log.String(); strings.Count(log, `"message":"engine reload"`) != 3 || !strings.Contains(log, "reload bad") {
		t.Errorf("log %s", log)
	}
}

// neverBack is an engine that does not come back from RELOAD until it may.
type neverBack struct {
	reloader
	release chan struct{}
}

func (s *neverBack) Reload(ctx context.Context) error {
	<-s.release
	return s.reloader.Reload(ctx)
}

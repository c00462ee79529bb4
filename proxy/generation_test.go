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

// closable is an engine that finds its own name in every object until it is closed.
type closable struct {
	name   string
	gate   chan struct{} // scans wait until it is closed; nil: they do not wait
	begun  atomic.Int64
	closed atomic.Bool
}

func (c *closable) Scan(context.Context, backends.Object) (backends.Result, error) {
	c.begun.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	if c.closed.Load() {
		return backends.Result{}, io.ErrClosedPipe
	}
	return backends.Found(1, c.name), nil
}

func (c *closable) Close() error {
	c.closed.Store(true)
	return nil
}

// apply gives the server a configuration with only these engines.
func (ts *testServer) apply(engines ...*closable) {
	ts.t.Helper()
	var all []testEngine
	for _, c := range engines {
		all = append(all, testEngine{name: c.name, backend: c})
	}
	ts.Apply(testConfig("unix:"+ts.addr, all))
}

// TestApplyDuringUpload replaces the engine twice during an upload. The command keeps the
// engine it began with, which is closed afterwards.
func TestApplyDuringUpload(t *testing.T) {
	a, b, c := &closable{name: "a"}, &closable{name: "b"}, &closable{name: "c"}
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
	testkit.Eventually(t, "the first command", func() bool { return ts.users() == 1 })
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
		t.Error("a was closed while a command used it")
	}
	send(first, all[4:])
	if got := readAll(t, first); got != "stream: a FOUND\x00" {
		t.Errorf("first: %q", got)
	}
	testkit.Eventually(t, "a and b are closed", func() bool { return a.closed.Load() && b.closed.Load() })
	if got := ts.ask("zINSTREAM\x00" + all); got != "stream: c FOUND\x00" || c.closed.Load() {
		t.Errorf("third: %q", got)
	}
}

// users is how many commands hold a generation.
func (s *Server) users() (n int) {
	s.generations.mu.Lock()
	defer s.generations.mu.Unlock()
	for _, g := range s.generations.inUse {
		n += g.users
	}
	return n
}

// TestApplyPassedOn passes an engine to a second configuration and removes it in the third.
// A command that began with the first one still uses it.
func TestApplyPassedOn(t *testing.T) {
	a := &closable{name: "a"}
	ts := newServer(t, nil, testEngine{name: "a", backend: a})
	nc := ts.dial()
	all := stream("some object", 4)
	if _, err := io.WriteString(nc, "zINSTREAM\x00"+all[:4]); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the first command", func() bool { return ts.users() == 1 })
	again := &closable{name: "a"}
	ts.apply(again)
	ts.apply(&closable{name: "other"})
	if again.closed.Load() {
		t.Error("the engine was closed while a command used it")
	}
	if _, err := io.WriteString(nc, all[4:]); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, nc); got != "stream: a FOUND\x00" {
		t.Errorf("%q", got)
	}
	testkit.Eventually(t, "the engine is closed", again.closed.Load)
}

// TestApplyInSession removes an engine during its scan in an IDSESSION. The scan goes on.
func TestApplyInSession(t *testing.T) {
	a, b := &closable{name: "a", gate: make(chan struct{})}, &closable{name: "b"}
	ts := newServer(t, nil, testEngine{name: "a", backend: a})
	nc := ts.dial()
	object := "zINSTREAM\x00" + stream("some object", 4)
	if _, err := io.WriteString(nc, "zIDSESSION\x00"+object); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "the scan begins", func() bool { return a.begun.Load() == 1 })
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
	testkit.Eventually(t, "a is closed", a.closed.Load)
	testkit.Eventually(t, "no command is under way", func() bool { return ts.users() == 0 })
}

// TestApplyWithoutListener removes a listener. Its clients are served until its socket is
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

// reloader is an engine that counts its reloads.
type reloader struct {
	backends.Backend
	reloads atomic.Int64
	err     error
}

func (r *reloader) Reload(context.Context) error {
	r.reloads.Add(1)
	return r.err
}

// TestReloadEngines reloads a slow engine and one that fails. Neither affects the other.
func TestReloadEngines(t *testing.T) {
	slow := &slowReloader{reloader: reloader{Backend: eicarEngine()}, release: make(chan struct{})}
	bad := &reloader{Backend: eicarEngine(), err: io.ErrUnexpectedEOF}
	ts := newServer(t, nil, testEngine{name: "slow", backend: slow}, testEngine{name: "bad", backend: bad})
	for i := range int64(3) {
		if got := ts.ask("zRELOAD\x00"); got != "RELOADING\x00" {
			t.Errorf("reply %q", got)
		}
		testkit.Eventually(t, "the failing engine has reloaded", func() bool { return bad.reloads.Load() == i+1 && ts.reloading.Load() == 1 })
	}
	close(slow.release)
	testkit.Eventually(t, "the slow engine has reloaded", func() bool { return ts.reloading.Load() == 0 })
	if n := slow.reloads.Load(); n != 2 {
		t.Errorf("the slow engine has reloaded %d times, want twice", n)
	}
	if log := ts.log.String(); strings.Count(log, `"message":"engine reload"`) != 3 || !strings.Contains(log, "reload bad") {
		t.Errorf("log %s", log)
	}
}

// slowReloader is an engine whose reload waits for release.
type slowReloader struct {
	reloader
	release chan struct{}
}

func (s *slowReloader) Reload(ctx context.Context) error {
	<-s.release
	return s.reloader.Reload(ctx)
}

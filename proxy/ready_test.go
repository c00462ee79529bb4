package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
	"polyclam/test/testkit"
)

// checked adds an engine with health checks, and one or more nodes, to the configuration of a
// test server.
func checked(t *testing.T, name string, required bool, nodes ...backends.Backend) func(*Config) {
	t.Helper()
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, Dir: t.TempDir(), PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sp.Close() })
	return func(cfg *Config) {
		c := engine.Config{
			Name: name, Kind: "fake", Required: required, Timeout: patience, MaxScans: 4, Canary: true, CanaryInterval: time.Second,
			Log: zerolog.Nop(), Spool: sp,
		}
		for i, b := range nodes {
			c.Nodes = append(c.Nodes, engine.Node{Address: "unix:/" + name + strings.Repeat("+", i), Backend: b})
		}
		cfg.Engines = append(cfg.Engines, engine.New(c))
	}
}

func both(changes ...func(*Config)) func(*Config) {
	return func(cfg *Config) {
		for _, change := range changes {
			change(cfg)
		}
	}
}

// fresh is Readiness without what was found out a moment ago.
func (ts *testServer) fresh() Readiness {
	ts.ready.mu.Lock()
	ts.ready.at = time.Time{}
	ts.ready.mu.Unlock()
	return ts.Readiness()
}

// wantReady waits until the server is ready or, with a reason, not ready because of it.
func (ts *testServer) wantReady(reason string) {
	ts.t.Helper()
	last := Readiness{}
	testkit.Eventually(ts.t, fmt.Sprintf("readiness with the reason %q", reason), func() bool {
		last = ts.fresh()
		if reason == "" {
			return last.Ready && len(last.Reasons) == 0
		}
		return !last.Ready && len(last.Reasons) > 0 && strings.Contains(strings.Join(last.Reasons, "\n"), reason)
	})
}

// gatedEngine is an EICAR engine that waits before each answer until open is closed.
func gatedEngine(open <-chan struct{}) backends.Backend {
	return backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		select {
		case <-open:
			return eicarEngine().Scan(ctx, o)
		case <-ctx.Done():
			return backends.Result{}, ctx.Err()
		}
	})
}

// TestReadyAfterCheck starts a server: it is ready when the first check has passed, not
// before.
func TestReadyAfterCheck(t *testing.T) {
	open := make(chan struct{})
	ts := newServer(t, checked(t, "slow", true, gatedEngine(open)))
	for range 3 {
		if r := ts.fresh(); r.Ready || !strings.Contains(r.Reasons[0], "the required engine slow has no usable node: unix:/slow: its first health check has not ended") {
			t.Fatalf("%+v", r)
		}
	}
	close(open)
	ts.wantReady("")
}

// TestReadyDrained drains the only node of a required engine, and puts it back. With health
// checks its state stays up, and without them unknown.
func TestReadyDrained(t *testing.T) {
	for _, ts := range []*testServer{newServer(t, checked(t, "a", true, eicarEngine())), newServer(t, nil, eicarOnly())} {
		ts.wantReady("")
		e := ts.cfg.Engines[0]
		if err := e.Drain(""); err != nil {
			t.Fatal(err)
		}
		ts.wantReady("the required engine " + e.Status().Name + " has no usable node: ")
		if r := ts.fresh(); !strings.HasSuffix(r.Reasons[0], "drained by an administrator") || r.FreeSlots != 0 {
			t.Errorf("%+v", r)
		}
		if err := e.Resume(""); err != nil {
			t.Fatal(err)
		}
		ts.wantReady("")
	}
}

// TestReadyEngines takes engines away and gives them back.
func TestReadyEngines(t *testing.T) {
	var down atomic.Bool
	flaky := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if down.Load() {
			return backends.Result{}, &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: "connection refused, by the test"}
		}
		return eicarEngine().Scan(ctx, o)
	})
	dead := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		return backends.Result{}, errors.New("dead")
	})
	ts := newServer(t, both(checked(t, "flaky", true, flaky), checked(t, "spare", false, dead)))
	ts.wantReady("") // the optional one does not matter
	if r := ts.fresh(); r.Slots != 4 || r.FreeSlots > 4 {
		t.Errorf("%+v", r)
	}
	down.Store(true)
	ts.ask("zINSTREAM\x00" + stream("x", 1))
	ts.wantReady("the required engine flaky has no usable node: unix:/flaky: ")
	ts.wantReady("connection refused, by the test")
	if r := ts.fresh(); r.FreeSlots != 0 || r.Draining {
		t.Errorf("%+v", r)
	}
	down.Store(false)
	ts.wantReady("")
}

// TestReadyOptional has no required engine: one that is usable is enough.
func TestReadyOptional(t *testing.T) {
	open := make(chan struct{})
	dead := backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		return backends.Result{}, errors.New("dead")
	})
	ts := newServer(t, both(checked(t, "a", false, gatedEngine(open)), checked(t, "b", false, dead)))
	ts.wantReady("no engine has a usable node; a: unix:/a: ")
	close(open)
	ts.wantReady("")
}

// TestReadySteered has an administrator drain nodes and switch engines: what gets no scans
// counts neither as usable nor as room.
func TestReadySteered(t *testing.T) {
	ts := newServer(t, both(checked(t, "two", true, eicarEngine(), eicarEngine()), checked(t, "spare", false, eicarEngine())))
	two, spare := ts.cfg.Engines[0], ts.cfg.Engines[1]
	free := func(free, slots int) {
		t.Helper()
		last := Readiness{}
		testkit.Eventually(t, fmt.Sprintf("%d of %d slots are free", free, slots), func() bool {
			last = ts.fresh()
			return last.Ready && last.FreeSlots == free && last.Slots == slots
		})
	}
	steer := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	free(8, 8)
	steer(two.Drain("unix:/two+"))
	free(4, 8)
	steer(two.Drain(""))
	ts.wantReady("the required engine two has no usable node: unix:/two: drained by an administrator; unix:/two+: drained by an administrator")
	if r := ts.fresh(); r.FreeSlots != 0 {
		t.Errorf("%+v", r)
	}
	steer(two.SetMode(engine.Observe)) // now the spare one decides
	free(4, 4)
	steer(spare.Drain(""))
	ts.wantReady("no engine has a usable node; two has the mode observe; spare: unix:/spare: drained by an administrator")
	steer(spare.Resume(""))
	free(4, 4)
	steer(spare.SetMode(engine.Off))
	ts.wantReady("no engine has a usable node; two has the mode observe; spare has the mode off")
	if r := ts.fresh(); r.FreeSlots != 0 || r.Slots != 0 {
		t.Errorf("%+v", r)
	}
	steer(two.SetMode(engine.On))
	ts.wantReady("the required engine two has no usable node")
	steer(two.Resume("unix:/two+"))
	free(4, 8)
}

func TestReadyDraining(t *testing.T) {
	ts := newServer(t, nil, eicarOnly())
	ts.wantReady("")
	ts.SetDraining(true)
	if r := ts.Readiness(); r.Ready || !r.Draining || r.Reasons[0] != "polyclamd is about to stop" {
		t.Errorf("%+v", r)
	}
	if got := ts.ask("zPING\x00"); got != "PONG\x00" {
		t.Errorf("PING: %q", got)
	}
	ts.SetDraining(false)
	if r := ts.Readiness(); !r.Ready || r.Draining {
		t.Errorf("%+v", r)
	}
}

// TestReadySlots has scans under way: they take slots.
func TestReadySlots(t *testing.T) {
	open := make(chan struct{})
	ts := newServer(t, nil, testEngine{name: "busy", backend: gatedEngine(open)})
	for range 3 {
		nc := ts.dial()
		nc.Write([]byte("zINSTREAM\x00" + stream("x", 1)))
	}
	testkit.Eventually(t, "three slots are taken", func() bool { r := ts.fresh(); return r.FreeSlots == 7 && r.Slots == 10 && r.Ready })
	close(open)
	testkit.Eventually(t, "the slots are free", func() bool { return ts.fresh().FreeSlots == 10 })
}

// TestReadyLimits fills the spool and the connections.
func TestReadyLimits(t *testing.T) {
	ts := newServer(t, func(cfg *Config) { cfg.Limits.Stream, cfg.Limits.Connections = 64<<20, 3 }, eicarOnly())
	ts.wantReady("") // no largest stream fits any more if anything is in use, but most of it is free
	nc := ts.dial()
	nc.Write([]byte("zINSTREAM\x00"))
	go nc.Write([]byte(strings.TrimSuffix(stream(strings.Repeat("x", 60<<20), 1<<20), "\x00\x00\x00\x00")))
	ts.wantReady("the spool is full: ")
	nc.Close()
	ts.wantReady("")
	var open []net.Conn
	for range 3 {
		open = append(open, ts.dial())
	}
	ts.wantReady("as many as limits.connections allows")
	for _, nc := range open {
		nc.Close()
	}
	ts.wantReady("")
}

// TestNotReadyClose has a listener that closes connections while the server is not ready, and
// one that does not.
func TestNotReadyClose(t *testing.T) {
	var down atomic.Bool
	scanning, finish := make(chan struct{}, 1), make(chan struct{})
	b := backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		if down.Load() {
			return backends.Result{}, &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: "gone"}
		}
		if o.Size() == 7 {
			scanning <- struct{}{}
			<-finish
		}
		return eicarEngine().Scan(ctx, o)
	})
	ts := newServer(t, both(checked(t, "e", true, b), func(cfg *Config) { cfg.Listeners[0].CloseNotReady = true }))
	ts.wantReady("")
	session, scan := ts.dial(), ts.dial()
	session.Write([]byte("zIDSESSION\x00zPING\x00"))
	if got := readRecord(t, session, 0); got != "1: PONG" {
		t.Fatal(got)
	}
	scan.Write([]byte("zINSTREAM\x00" + stream("7 bytes", 7)))
	<-scanning

	ts.SetDraining(true) // checks fail, scans do not
	for request, want := range map[string]string{"zPING\x00": "", "nPING\n": "", "zINSTREAM\x00" + stream("x", 1): "stream: OK\x00", "zVERSION\x00": "ClamAV"} {
		if got := ts.ask(request); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("draining, %q: %q, want %q", request, got, want)
		}
	}
	ts.SetDraining(false)

	down.Store(true)
	for _, e := range ts.cfg.Engines {
		testkit.Eventually(t, "the engine is down", func() bool { return e.Status().Nodes[0].State == "down" })
	}
	ts.fresh()
	for range 3 {
		nc := ts.dial()
		nc.Write([]byte("zPING\x00"))
		if got := make([]byte, 1); readsNothing(nc, got) != 0 {
			t.Errorf("not ready: %q", got)
		}
	}
	if n := strings.Count(ts.log.String(), "connections closed, not ready"); n != 1 {
		t.Errorf("%d log lines, want 1\n%s", n, ts.log)
	}
	session.Write([]byte("zPING\x00")) // sessions continue
	if got := readRecord(t, session, 0); got != "2: PONG" {
		t.Errorf("session: %q", got)
	}
	close(finish)
	if got := readAll(t, scan); got != "stream: OK\x00" {
		t.Errorf("the scan under way: %q", got)
	}
	down.Store(false)
	ts.wantReady("")
	if got := ts.ask("zPING\x00"); got != "PONG\x00" {
		t.Errorf("ready again: %q", got)
	}
}

// readsNothing returns how many bytes come until the connection ends or is reset.
func readsNothing(nc net.Conn, b []byte) int {
	n, _ := nc.Read(b)
	return n
}

package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine"
	"polyclam/proxy/local"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// patience ends a test that hangs. No assertion depends on it.
const patience = time.Minute

// testEngine is a named backend of a test server.
type testEngine struct {
	name     string
	optional bool
	backend  backends.Backend
	maxSize  int64
	maxDelay time.Duration
}

// testServer is a server on a Unix socket in front of fake engines.
type testServer struct {
	*Server
	t    *testing.T
	addr string
	log  *syncBuffer
	cfg  *Config
	stop chan struct{} // closed by the SHUTDOWN command

	ahead atomic.Int64 // of the server's clock, a duration
}

// newServer starts a server. change, if not nil, changes its configuration first.
func newServer(t *testing.T, change func(*Config), engines ...testEngine) *testServer {
	t.Helper()
	backendtest.NoLeaks(t)
	dir := testkit.SocketDir(t)
	path := filepath.Join(dir, "s")
	ts := &testServer{t: t, addr: path, log: &syncBuffer{}, stop: make(chan struct{})}
	ts.cfg = testConfig("unix:"+path, engines)
	if change != nil {
		change(ts.cfg)
	}
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, Dir: dir, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	ts.Server = NewServer(ServerOptions{
		Config: ts.cfg, Spool: sp, Log: zerolog.New(ts.log), Version: "test",
		Stop: sync.OnceFunc(func() { close(ts.stop) }),
		now:  func() time.Time { return time.Now().Add(time.Duration(ts.ahead.Load())) },
	})
	ln := listenUnix(t, path)
	served := make(chan error, 1)
	go func() { served <- ts.Serve(ln, "unix:"+path) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := ts.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
		testkit.Eventually(t, "the spool is empty", func() bool {
			st := sp.Stats()
			return st.Used == 0 && st.Objects == 0 && st.Writers == 0
		})
		sp.Close()
	})
	return ts
}

// listenUnix listens as the daemon does.
func listenUnix(t testing.TB, path string) *local.Listener {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := local.Listen(ln)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func testConfig(address string, engines []testEngine) *Config {
	profile, _ := status.Lookup("generic")
	profile.Form = status.Plain
	cfg := &Config{
		Listeners: []Listener{{
			Address: address, Profile: profile, Policy: policy.Default(),
			PathCommands: true, ReloadCommand: true,
		}},
		Limits: Limits{
			Stream: 1 << 20, CommandReadTimeout: patience, ReadTimeout: patience, WriteTimeout: patience,
			Connections: 100, SessionScans: 4, DirectoryDepth: 15, Handshakes: 20, HandshakeTimeout: patience,
		},
		Hash: HashAlways,
	}
	for _, e := range engines {
		cfg.Engines = append(cfg.Engines, engine.New(engine.Config{
			Name: e.name, Kind: "fake", Required: !e.optional, Timeout: patience, MaxScans: 10, MaxSize: e.maxSize, MaxDelay: e.maxDelay,
			Nodes: []engine.Node{{Backend: e.backend}}, Log: zerolog.Nop(),
		}))
	}
	return cfg
}

// eicarEngine finds the EICAR test string and nothing else.
func eicarEngine() backends.Backend {
	return backends.Func(func(ctx context.Context, o backends.Object) (backends.Result, error) {
		b := make([]byte, min(o.Size(), 1<<20))
		if _, err := o.ReadAt(b, 0); err != nil && err != io.EOF {
			return backends.Result{}, err
		}
		if bytes.Contains(b, testfile.EICAR()) {
			return backends.Found(1, "Eicar-Test-Signature"), nil
		}
		return backends.Clean(0), nil
	})
}

func eicarOnly() testEngine { return testEngine{name: "fake", backend: eicarEngine()} }

// dial connects a client with a deadline.
func (ts *testServer) dial() *net.UnixConn {
	ts.t.Helper()
	nc, err := net.Dial("unix", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	ts.t.Cleanup(func() { nc.Close() })
	return nc.(*net.UnixConn)
}

// ask sends one packet and returns everything until the connection ends.
func (ts *testServer) ask(send string) string {
	ts.t.Helper()
	nc := ts.dial()
	if _, err := io.WriteString(nc, send); err != nil {
		ts.t.Fatal(err)
	}
	return readAll(ts.t, nc)
}

func readAll(t *testing.T, nc net.Conn) string {
	t.Helper()
	b, err := io.ReadAll(nc)
	if err != nil {
		t.Fatalf("after %q: %v", b, err)
	}
	return string(b)
}

// stream returns content in chunks of at most size bytes, followed by the end marker.
func stream(content string, size int) string {
	var b strings.Builder
	for len(content) > 0 {
		n := min(size, len(content))
		binary.Write(&b, binary.BigEndian, uint32(n))
		b.WriteString(content[:n])
		content = content[n:]
	}
	b.WriteString("\x00\x00\x00\x00")
	return b.String()
}

// readRecord reads until the terminator.
func readRecord(t *testing.T, nc net.Conn, term byte) string {
	t.Helper()
	var out []byte
	for b := make([]byte, 1); ; {
		if _, err := nc.Read(b); err != nil {
			t.Fatalf("after %q: %v", out, err)
		}
		if b[0] == term {
			return string(out)
		}
		out = append(out, b[0])
	}
}

// syncBuffer collects log lines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

package ops

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// patience ends a test that hangs. No assertion depends on it.
const patience = time.Minute

// logText collects log lines. It is safe for concurrent use.
type logText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// tester is a server of this package in front of a proxy whose only engine needs no health
// check.
type tester struct {
	*Server
	t     *testing.T
	proxy *proxy.Server
	log   *logText
	url   string // of the HTTP listener
	addr  string
	ln    net.Listener
}

// fakeControls are the commands of a daemon that does not exist.
type fakeControls struct{}

func (fakeControls) Reload(context.Context) ([]string, error) { return nil, errors.New("no daemon") }
func (fakeControls) SetLogLevel(string) (string, error)       { return "", errors.New("no daemon") }

func newTester(t *testing.T, c Config) *tester {
	t.Helper()
	ts := &tester{t: t, log: &logText{}}
	ts.proxy = newProxy(t, func(context.Context, backends.Object) (backends.Result, error) { return backends.Clean(0), nil }, false)
	c.HTTP = true
	ts.Server = New(Options{Proxy: ts.proxy, Controls: fakeControls{}, Log: zerolog.New(ts.log), Config: c})
	ts.ln, ts.addr = ts.listen(HTTP, "tcp")
	ts.url = "http://" + ts.addr
	t.Cleanup(ts.Close)
	return ts
}

// listen serves a service on a new socket.
func (ts *tester) listen(service Service, network string) (net.Listener, string) {
	ts.t.Helper()
	ln := testkit.Listen(ts.t, network)
	served := make(chan error, 1)
	go func() { served <- ts.Serve(ln, service) }()
	ts.t.Cleanup(func() {
		ts.Close()
		if err := <-served; !errors.Is(err, ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			ts.t.Errorf("Serve returned %v", err)
		}
	})
	return ln, ln.Addr().String()
}

// newProxy returns a proxy with one required engine.
func newProxy(t *testing.T, scan backends.Func, canary bool) *proxy.Server {
	t.Helper()
	dir := testkit.SocketDir(t)
	sp, err := spool.New(spool.Config{Memory: 64 << 10, Total: 64 << 20, Store: spool.Memfd, Dir: dir, PathMode: 0o600, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	profile, _ := status.Lookup("generic")
	s := proxy.NewServer(proxy.ServerOptions{Spool: sp, Log: zerolog.Nop(), Version: "test", Config: &proxy.Config{
		Listeners: []proxy.Listener{{Address: "unix:/x", Profile: profile, Policy: policy.Default()}},
		Limits:    proxy.DefaultLimits(),
		Engines: []*engine.Engine{engine.New(engine.Config{
			Name: "fake", Kind: "fake", Required: true, Timeout: patience, MaxScans: 4, Canary: canary, CanaryInterval: patience, Spool: sp,
			Nodes: []engine.Node{{Address: "unix:/engine", Backend: scan}}, Log: zerolog.Nop(),
		})},
	}})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Shutdown(ctx)
		sp.Close()
	})
	return s
}

// get sends a request with the header Authorization, and returns the answer and its body.
func (ts *tester) get(method, path, authorization string) (*http.Response, string) {
	ts.t.Helper()
	r, err := http.NewRequest(method, ts.url+path, nil)
	if err != nil {
		ts.t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Close = true
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		ts.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		ts.t.Fatal(err)
	}
	return answer, string(body)
}

// dial connects to the HTTP listener.
func (ts *tester) dial() net.Conn {
	ts.t.Helper()
	nc, err := net.Dial("tcp", ts.addr)
	if err != nil {
		ts.t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(patience))
	ts.t.Cleanup(func() { nc.Close() })
	return nc
}

// open is the number of connections at the HTTP listener.
func (ts *tester) open() int {
	ts.http.gate.mu.Lock()
	defer ts.http.gate.mu.Unlock()
	return len(ts.http.gate.conns)
}

// wantClosed waits until the server closes nc, and returns what it has sent.
func wantClosed(t *testing.T, nc net.Conn) string {
	t.Helper()
	text, err := io.ReadAll(nc)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the server did not close the connection")
	}
	return string(text)
}

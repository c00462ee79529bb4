package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/test/testkit"
)

// fakeEngine is an engine whose nodes are in given states.
type fakeEngine struct {
	name     string
	optional bool
	check    func(context.Context) error

	mu    sync.Mutex
	mode  engine.Mode
	nodes []engine.NodeStatus
}

// newFake returns an engine that is on, with nodes given as address and state in turn.
func newFake(name string, nodes ...string) *fakeEngine {
	e := &fakeEngine{name: name, mode: engine.On}
	for i := 0; i < len(nodes); i += 2 {
		e.nodes = append(e.nodes, engine.NodeStatus{Address: nodes[i], State: nodes[i+1]})
	}
	return e
}

func (e *fakeEngine) Name() string   { return e.name }
func (e *fakeEngine) Required() bool { return !e.optional }

func (e *fakeEngine) Mode() engine.Mode {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.mode
}

func (e *fakeEngine) SetMode(m engine.Mode) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mode = m
	return nil
}

func (e *fakeEngine) Status() engine.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	return engine.Status{Name: e.name, Required: !e.optional, Nodes: append([]engine.NodeStatus(nil), e.nodes...)}
}

func (e *fakeEngine) set(address, state string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.nodes {
		if address == "" || e.nodes[i].Address == address {
			e.nodes[i].Drained = state == "drained"
		}
	}
	return nil
}

// Drain takes a moment, in which another command may look at the engine.
func (e *fakeEngine) Drain(address string) error {
	time.Sleep(5 * time.Millisecond)
	return e.set(address, "drained")
}

func (e *fakeEngine) Resume(address string) error { return e.set(address, "up") }

func (e *fakeEngine) CheckNow(ctx context.Context) error {
	if e.check != nil {
		return e.check(ctx)
	}
	return e.set("", "up")
}

// fakeControls record what they are asked.
type fakeControls struct {
	lines []string
	err   error
	hangs bool
}

func (c *fakeControls) Reload(ctx context.Context) ([]string, error) {
	if c.hangs {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return c.lines, c.err
}

func (c *fakeControls) SetLogLevel(level string) (string, error) {
	if level != "debug" {
		return "", errors.New("no such level")
	}
	return "info", nil
}

// lockedBuffer is a log that several requests write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// world is a handler on a Unix socket.
type world struct {
	t       *testing.T
	handler *handler
	client  *http.Client
	log     lockedBuffer
}

const user = "uid=4711 (operator), pid=1"

func newWorld(t *testing.T, c Controls, engines ...*fakeEngine) *world {
	t.Helper()
	w := &world{t: t}
	w.handler = newHandler(c, zerolog.New(&w.log), http.NotFoundHandler())
	w.handler.engines = func() (list []steered) {
		for _, e := range engines {
			list = append(list, e)
		}
		return list
	}
	w.handler.sets = func() map[string][]string { return nil }
	w.handler.snapshot = func() (s proxy.Snapshot) {
		for _, e := range engines {
			s.Engines = append(s.Engines, e.Status())
		}
		return s
	}
	path := filepath.Join(testkit.SocketDir(t), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: w.handler, ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return ByUser(ctx, user) }}
	go server.Serve(ln)
	t.Cleanup(func() { server.Close() })
	w.client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	return w
}

// request returns a request that is not sent.
func request(ctx context.Context) *http.Request {
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/", nil)
	return r
}

// do sends a request, and returns the status and the body of the answer.
func (w *world) do(method, path, body string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequest(method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		w.t.Fatal(err)
	}
	if !json.Valid(b.Bytes()) {
		w.t.Errorf("%s %s: the answer is not JSON: %q", method, path, b.String())
	}
	return resp.StatusCode, strings.TrimSpace(b.String())
}

func (w *world) post(path, body string) (int, string) {
	w.t.Helper()
	return w.do(http.MethodPost, path, body)
}

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/proxy"
	"polyclam/proxy/engine"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/status"
	"polyclam/test/testkit"
)

// testEngine is a backend of a server under test.
type testEngine struct {
	name     string
	backend  backends.Backend
	optional bool
	maxSize  int64
	canary   bool
	address  string // of its node
}

// marked is an engine that finds the marks of backendtest.
func marked() testEngine { return testEngine{name: "marked", backend: backendtest.Engine()} }

func reports(name string, r backends.Result) testEngine {
	return testEngine{name: name, backend: backendtest.Says(r)}
}

func fails(name string, category backends.Category, text string) testEngine {
	return testEngine{name: name, backend: backendtest.Fails(&backends.Failure{Category: category, Code: backends.NoCode, Text: text})}
}

// testServer is polyclam's server with fake engines, on a Unix socket and a TCP port.
type testServer struct {
	unix, tcp string // as --address takes them
	stop      func() // ends it before the end of the test
}

// serve starts a server. If change is not nil, it changes the configuration first.
func serve(t *testing.T, change func(*proxy.Config), engines ...testEngine) *testServer {
	t.Helper()
	ts := &testServer{unix: "unix:" + filepath.Join(testkit.SocketDir(t), "s"), tcp: "tcp:127.0.0.1:0"}
	profile, _ := status.Lookup("generic")
	cfg := &proxy.Config{Limits: proxy.Limits{
		Stream: 1 << 20, CommandReadTimeout: hang, ReadTimeout: hang, WriteTimeout: hang,
		Connections: 100, SessionScans: 4, DirectoryDepth: 15,
	}}
	merge := policy.Default()
	merge.AnswerFirst = false
	for _, address := range []string{ts.unix, ts.tcp} {
		cfg.Listeners = append(cfg.Listeners, proxy.Listener{Address: address, Profile: profile, Policy: merge})
	}
	store, err := spool.New(spool.Config{Memory: 64 << 10, Total: 1 << 30, Store: spool.Memfd, PathGroup: -1})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range engines {
		cfg.Engines = append(cfg.Engines, engine.New(engine.Config{
			Name: e.name, Kind: "fake", Required: !e.optional, Timeout: hang, MaxScans: 10, MaxSize: e.maxSize, Canary: e.canary,
			Nodes: []engine.Node{{Address: e.address, Backend: e.backend}}, Log: zerolog.Nop(), Spool: store,
		}))
	}
	if change != nil {
		change(cfg)
	}
	server := proxy.NewServer(proxy.ServerOptions{Config: cfg, Spool: store, Log: zerolog.Nop(), Version: "1.2.3"})
	stopped := false
	ts.stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		store.Close()
	}
	t.Cleanup(ts.stop)
	listenAt(t, server, ts.unix)
	ts.tcp = "tcp:" + listenAt(t, server, ts.tcp)
	return ts
}

// listenAt opens a listener of the server, and returns its address.
func listenAt(t *testing.T, server *proxy.Server, address string) string {
	t.Helper()
	network, at, err := backends.ParseAddress(address)
	if address == "tcp:127.0.0.1:0" { // port 0 is not valid for an engine
		network, at, err = "tcp", "127.0.0.1:0", nil
	}
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	if network == "unix" {
		if err := os.Chmod(at, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		if err := server.Serve(ln, address); !errors.Is(err, proxy.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	}()
	return ln.Addr().String()
}

package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// TestRetire retires one of two listeners. All clients that the kernel has accepted are
// served, even if limits.connections allows only one at a time, and the other listener goes
// on.
func TestRetire(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			release := make(chan struct{})
			ts := newServer(t, func(c *Config) { c.Limits.Connections = 2 }, // the other listener reserves one for its next client
				testEngine{name: "slow", backend: &backendtest.Fake{Result: backends.Clean(0), Until: release}})
			ln := testkit.Listen(t, network)
			served := make(chan error, 1)
			go func() { served <- ts.Serve(ln, ts.cfg.Listeners[0].Address) }()
			var clients []net.Conn
			for range 20 {
				nc, err := net.Dial(network, ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				io.WriteString(nc, "zINSTREAM\x00"+stream("ab", 2))
				clients = append(clients, nc)
			}
			testkit.Eventually(t, "a scan", func() bool { return len(ts.running.list()) > 0 })
			retired := make(chan struct{})
			go func() {
				ts.Retire(t.Context(), ln)
				close(retired)
			}()
			testkit.Eventually(t, "the retirement", func() bool { return ts.isEnding(ln) })
			close(release)
			for i, nc := range clients {
				if got := readAll(t, nc); got != "stream: OK\x00" {
					t.Errorf("%d: %q", i, got)
				}
				nc.Close() // makes room
			}
			<-retired
			if err := <-served; !errors.Is(err, ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
			if nc, err := net.Dial(network, ln.Addr().String()); err == nil {
				nc.Close()
				t.Error("the listener still listens")
			}
			nc := ts.dial()
			io.WriteString(nc, "zPING\x00")
			if got := readAll(t, nc); got != "PONG\x00" {
				t.Errorf("the other listener: %q", got)
			}
			nc.Close()
		})
	}
}

// TestRetireOfFullServer has no room for the client in the backlog until ctx ends.
func TestRetireOfFullServer(t *testing.T) {
	ts := newServer(t, func(c *Config) { c.Limits.Connections = 2 }, eicarOnly())
	ln := testkit.Listen(t, "unix")
	go ts.Serve(ln, ts.cfg.Listeners[0].Address)
	var clients []net.Conn
	for range 2 {
		nc, err := net.Dial("unix", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, nc)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ts.Retire(ctx, ln)
	if nc, err := net.Dial("unix", ln.Addr().String()); err == nil {
		nc.Close()
		t.Error("the listener still listens")
	}
	for _, nc := range clients {
		nc.Close()
	}
	ts.Retire(ctx, ln) // does nothing
}

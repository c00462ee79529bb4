package testkit

import (
	"context"
	"net"
	"path/filepath"
	"sync"
	"testing"
)

// Listen listens on a free address of the loopback, network "tcp", or on a new Unix
// socket, network "unix". The listener is closed when the test ends.
func Listen(t testing.TB, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(SocketDir(t), "s")
	}
	var config net.ListenConfig
	config.SetMultipathTCP(false) // as the daemon
	l, err := config.Listen(context.Background(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Address returns the address of a listener as the configuration writes it,
// for example "tcp:127.0.0.1:3310".
func Address(l net.Listener) string { return l.Addr().Network() + ":" + l.Addr().String() }

// Serve is [ServeOn] with a new listener of [Listen]. It returns the listener's [Address].
func Serve(t testing.TB, network string, handle func(net.Conn)) string {
	t.Helper()
	l := Listen(t, network)
	ServeOn(t, l, handle)
	return Address(l)
}

// ServeOn calls handle in a goroutine for every connection to l. A connection is closed
// when handle returns. When the test ends, l and all connections are closed, and the
// test waits for every handle to return.
func ServeOn(t testing.TB, l net.Listener, handle func(net.Conn)) {
	s := &server{handle: handle, conns: map[net.Conn]bool{}}
	t.Cleanup(func() {
		l.Close()
		s.closeAll()
		s.wg.Wait()
	})
	s.wg.Go(func() { s.accept(l) })
}

type server struct {
	handle func(net.Conn)
	wg     sync.WaitGroup

	mu     sync.Mutex
	closed bool
	conns  map[net.Conn]bool
}

func (s *server) accept(l net.Listener) {
	for {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		s.wg.Go(func() {
			defer nc.Close()
			if s.add(nc) {
				defer s.remove(nc)
				s.handle(nc)
			}
		})
	}
}

// add reports false when the server has already closed its connections.
func (s *server) add(nc net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[nc] = true
	return true
}

func (s *server) remove(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, nc)
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for nc := range s.conns {
		nc.Close()
	}
}

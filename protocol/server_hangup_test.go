package protocol

import (
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// socketPair returns both ends of a connection.
func socketPair(t *testing.T, network string) (client net.Conn, server *Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err = net.Dial(network, ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	nc, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server = NewConn(nc)
	t.Cleanup(func() { server.Close() })
	return client, server
}

func closeWrite(nc net.Conn) { nc.(interface{ CloseWrite() error }).CloseWrite() }

// reset closes a TCP connection with a reset.
func reset(nc net.Conn) {
	nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

func TestAwaitHangup(t *testing.T) {
	for _, test := range []struct {
		name, network string
		before, then  func(net.Conn) // before and during the wait
		want          bool
	}{
		{"close", "unix", nil, func(nc net.Conn) { nc.Close() }, true},
		{"closed before", "unix", func(nc net.Conn) { nc.Close() }, nil, true},
		{"half-close", "unix", nil, closeWrite, false},
		{"half-closed before", "unix", closeWrite, nil, false},
		{"half-close, then close", "unix", closeWrite, func(nc net.Conn) { nc.Close() }, true},
		{"data", "unix", nil, func(nc net.Conn) { io.WriteString(nc, "x") }, false},
		{"data, then close", "unix", func(nc net.Conn) { io.WriteString(nc, "x") }, func(nc net.Conn) { nc.Close() }, true},
		{"nothing", "unix", nil, nil, false},
		{"reset", "tcp", nil, reset, true},
		{"reset before", "tcp", reset, nil, true},
		{"close", "tcp", nil, func(nc net.Conn) { nc.Close() }, false},
		{"half-close", "tcp", nil, closeWrite, false},
		{"half-close, then reset", "tcp", closeWrite, reset, true},
		{"nothing", "tcp", nil, nil, false},
	} {
		t.Run(test.network+" "+test.name, func(t *testing.T) {
			client, server := socketPair(t, test.network)
			if test.before != nil {
				test.before(client)
			}
			got := make(chan bool)
			go func() { got <- server.AwaitHangup() }()
			if test.then != nil {
				test.then(client)
			}
			if !test.want {
				// Long enough for a hang-up to be noticed first.
				server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			}
			select {
			case gone := <-got:
				if gone != test.want {
					t.Errorf("hung up: %v, want %v", gone, test.want)
				}
			case <-time.After(hang):
				t.Fatal("it still waits")
			}
		})
	}
}

// After AwaitHangup the connection can still be read.
func TestAwaitHangupLeavesTheConnection(t *testing.T) {
	client, server := socketPair(t, "unix")
	io.WriteString(client, "zPI")
	got := make(chan bool)
	go func() { got <- server.AwaitHangup() }()
	server.SetReadDeadline(time.Unix(1, 0))
	if <-got {
		t.Error("it has not hung up")
	}
	server.SetReadDeadline(time.Time{})
	io.WriteString(client, "NG\x00")
	if cmd, err := server.ReadCommand(); err != nil || cmd.Verb != VerbPing {
		t.Errorf("%+v, %v", cmd, err)
	}
}

func TestAwaitHangupAfterClose(t *testing.T) {
	_, server := socketPair(t, "unix")
	got := make(chan bool)
	go func() { got <- server.AwaitHangup() }()
	server.Close()
	if <-got {
		t.Error("it was closed here")
	}
	a, b := net.Pipe()
	defer a.Close()
	if c := NewConn(b); c.Watchable() || c.AwaitHangup() {
		t.Error("a pipe cannot be watched")
	}
}

package dataport

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPortMiddle covers what happens while half of the object has arrived.
func TestPortMiddle(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, p testPort, data *net.TCPConn)
		want error
	}{
		{"reset", func(t *testing.T, p testPort, data *net.TCPConn) { data.SetLinger(0); data.Close() }, ErrLost},
		{"second connection", func(t *testing.T, p testPort, data *net.TCPConn) { p.dial(t, "127.0.0.1", "") }, ErrSecondConnection},
		{"second connection with data", func(t *testing.T, p testPort, data *net.TCPConn) {
			second := p.dial(t, "127.0.0.1", "")
			io.WriteString(second, "clean")
			second.Close()
		}, ErrSecondConnection},
		{"client gone", func(t *testing.T, p testPort, data *net.TCPConn) { p.client.Close() }, ErrClientGone},
		{"client half-closes", func(t *testing.T, p testPort, data *net.TCPConn) { p.halfClose() }, ErrClientGone},
		{"client sends more", func(t *testing.T, p testPort, data *net.TCPConn) { p.send(t, "nPING\n") }, ErrStrayInput},
		{"control connection closed by the server", func(t *testing.T, p testPort, data *net.TCPConn) { p.server.Close() }, ErrClientGone},
		{"silence", func(t *testing.T, p testPort, data *net.TCPConn) {}, os.ErrDeadlineExceeded},
		{"another host", func(t *testing.T, p testPort, data *net.TCPConn) {
			p.dial(t, "127.0.0.1", "127.0.0.2")
			for end := time.Now().Add(hang); p.refusals.Load() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			data.CloseWrite()
		}, nil},
	}
	for _, kind := range controlKinds[:2] {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := kind.open(t)
				data := p.dial(t, "127.0.0.1", "")
				io.WriteString(data, "half of it")
				timeout := hang
				if tt.want == os.ErrDeadlineExceeded {
					timeout = 20 * time.Millisecond
				}
				s, err := p.Accept(0, timeout)
				if err != nil {
					t.Fatal(err)
				}
				_, err = s.WriteTo(&firstWrite{f: func() { tt.do(t, p, data) }})
				if !errors.Is(err, tt.want) {
					t.Errorf("ended with %v, want %v", err, tt.want)
				}
				if _, again := s.WriteTo(io.Discard); err != nil && again == nil {
					t.Errorf("after %v the object is complete", err)
				}
				want := tt.want
				if want == os.ErrDeadlineExceeded {
					want = ErrLost
				}
				if err := p.Close(); !errors.Is(err, want) {
					t.Errorf("Close: %v, want %v", err, want)
				}
			})
		}
	}
}

// TestPortResetInsteadOfEnd resets the data connection after the whole object.
func TestPortResetInsteadOfEnd(t *testing.T) {
	p := openTCP(t, Range{})
	data := p.dial(t, "127.0.0.1", "")
	io.WriteString(data, "all of it")
	s, err := p.Accept(0, hang)
	if err != nil {
		t.Fatal(err)
	}
	data.SetLinger(0)
	data.Close()
	if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrLost) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}

// TestPortWait covers what happens before or while Accept waits.
func TestPortWait(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, p testPort)
		want error
	}{
		{"no connection", func(t *testing.T, p testPort) { p.server.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) }, ErrNoConnection},
		{"other hosts only", func(t *testing.T, p testPort) {
			for range 20 {
				p.dial(t, "127.0.0.1", "127.0.0.2")
			}
			p.server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}, ErrNoConnection},
		{"other hosts, then the client", func(t *testing.T, p testPort) {
			for range 20 {
				io.WriteString(p.dial(t, "127.0.0.1", "127.0.0.2"), "clean")
			}
			data := p.dial(t, "127.0.0.1", "")
			io.WriteString(data, "content")
			data.CloseWrite()
		}, nil},
		{"client gone", func(t *testing.T, p testPort) { p.client.Close() }, ErrClientGone},
		{"client half-closes", func(t *testing.T, p testPort) { p.halfClose() }, ErrClientGone},
		{"client sends more", func(t *testing.T, p testPort) { p.send(t, "x") }, ErrStrayInput},
		{"control connection closed by the server", func(t *testing.T, p testPort) { p.server.Close() }, ErrClientGone},
		{"accept fails", func(t *testing.T, p testPort) { p.ln.Close() }, ErrAccept},
		{"two connections", func(t *testing.T, p testPort) {
			both := []*net.TCPConn{p.dial(t, "127.0.0.1", ""), p.dial(t, "127.0.0.1", "")}
			for _, data := range both {
				io.WriteString(data, "content")
				data.Close()
			}
		}, ErrSecondConnection},
		// The kernel accepts a connection that has been reset already.
		{"reset before accept", func(t *testing.T, p testPort) {
			data := p.dial(t, "127.0.0.1", "")
			io.WriteString(data, "content")
			data.SetLinger(0)
			data.Close()
		}, ErrLost},
	}
	for _, kind := range controlKinds[:2] {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name+", before", func(t *testing.T) {
				p := kind.open(t)
				tt.do(t, p)
				checkData(t, p, "content", tt.want)
			})
			t.Run(kind.name+"/"+tt.name+", while waiting", func(t *testing.T) {
				p := kind.open(t)
				done := make(chan struct{})
				go func() {
					defer close(done)
					tt.do(t, p)
				}()
				checkData(t, p, "content", tt.want)
				<-done
			})
		}
	}
}

// TestPortAfterTheEnd covers what happens between the end of the object and Close.
func TestPortAfterTheEnd(t *testing.T) {
	stopAccepting := func(p testPort) { // later connections wait in the backlog
		p.ln.SetDeadline(time.Unix(1, 0))
		<-p.accepted
	}
	tests := []struct {
		name string
		do   func(t *testing.T, p testPort, host string)
		want error
	}{
		{"accepted", func(t *testing.T, p testPort, host string) {
			second := p.dial(t, host, "")
			io.ReadAll(second) // until it is closed
		}, ErrSecondConnection},
		{"in the backlog", func(t *testing.T, p testPort, host string) { stopAccepting(p); p.dial(t, host, "") }, ErrSecondConnection},
		{"gone from the backlog", func(t *testing.T, p testPort, host string) {
			stopAccepting(p)
			second := p.dial(t, host, "")
			second.SetLinger(0)
			second.Close()
		}, ErrSecondConnection},
		// As with clamd, what the client does on the control connection no longer matters.
		{"client half-closes", func(t *testing.T, p testPort, _ string) { p.halfClose() }, nil},
		{"client sends more", func(t *testing.T, p testPort, _ string) { p.send(t, "x") }, nil},
		{"accept fails", func(t *testing.T, p testPort, _ string) { p.ln.Close() }, ErrAccept},
		{"other hosts in the backlog", func(t *testing.T, p testPort, host string) {
			stopAccepting(p)
			for range 3 {
				p.dial(t, host, "127.0.0.2")
			}
		}, nil},
	}
	for _, kind := range controlKinds {
		for _, tt := range tests {
			if strings.HasPrefix(tt.name, "other hosts") && kind.host == "::1" {
				continue // it has only one address
			}
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := kind.open(t)
				p.dial(t, kind.host, "").Close()
				s, err := p.Accept(0, hang)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.WriteTo(io.Discard); err != nil {
					t.Fatal(err)
				}
				tt.do(t, p, kind.host)
				for range 2 {
					if err := p.Close(); !errors.Is(err, tt.want) {
						t.Errorf("Close: %v, want %v", err, tt.want)
					}
				}
			})
		}
	}
}

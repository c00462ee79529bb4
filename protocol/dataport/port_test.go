package dataport

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"polyclam/protocol"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestPort(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", 192000)
	tests := []struct {
		name, data string
		limit      int64
		err        error
	}{
		{name: "empty"},
		{name: "small", data: "abc"},
		{name: "looks like chunks", data: "\x00\x00\x00\x03abc\x00\x00\x00\x00"},
		{name: "large", data: large},
		{name: "exactly the limit", data: large, limit: int64(len(large))},
		{name: "one over the limit", data: large, limit: int64(len(large)) - 1, err: protocol.ErrStreamLimit},
		{name: "first byte over the limit", data: "ab", limit: 1, err: protocol.ErrStreamLimit},
	}
	for _, kind := range controlKinds {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := kind.open(t)
				nc := p.dial(t, kind.host, "")
				go func() {
					io.WriteString(nc, tt.data)
					nc.Close()
				}()
				var got bytes.Buffer
				s, err := p.Accept(tt.limit, hang)
				if err != nil {
					t.Fatal(err)
				}
				n, err := s.WriteTo(&got)
				if !errors.Is(err, tt.err) {
					t.Fatalf("ended with %v, want %v", err, tt.err)
				}
				if err == nil && got.String() != tt.data || n != int64(got.Len()) || !strings.HasPrefix(tt.data, got.String()) {
					t.Errorf("%d of %d bytes arrived, %d were counted", got.Len(), len(tt.data), n)
				}
				if err != nil && !s.Drain(hang, hang, int64(len(tt.data))) {
					t.Error("the end was not reached")
				}
				if err := p.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if _, err := net.Dial("tcp", p.ln.Addr().String()); err == nil {
					t.Error("the port is still open")
				}
			})
		}
	}
}

// A link-local address is useless without its zone.
func TestPortZone(t *testing.T) {
	host := linkLocal(t)
	server, client := pairOn(t, "tcp", "[::]:0", host)
	p := openPort(t, server, client, Range{})
	data := p.dial(t, host, "")
	io.WriteString(data, "abc")
	data.CloseWrite()
	checkData(t, p, "abc", nil)
	if got := address(p.ln.Addr()); got.Zone() == "" || got.String() != host {
		t.Errorf("listening on %v, want %v", got, host)
	}
}

// linkLocal returns a link-local address of this host, with its zone.
func linkLocal(t *testing.T) string {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			if ipnet, ok := a.(*net.IPNet); ok && ipnet.IP.To4() == nil && ipnet.IP.IsLinkLocalUnicast() {
				return ipnet.IP.String() + "%" + i.Name
			}
		}
	}
	t.Skip("NOT TESTED: this host has no link-local address")
	return ""
}

// checkData checks that the object arrives, or that wantErr is reported instead.
func checkData(t *testing.T, p testPort, want string, wantErr error) {
	t.Helper()
	var got bytes.Buffer
	s, err := p.Accept(0, hang)
	if err == nil {
		_, err = s.WriteTo(&got)
		if _, again := s.WriteTo(io.Discard); err != nil && again == nil {
			t.Errorf("after %v the object is complete", err)
		}
	}
	if closeErr := p.Close(); err == nil {
		err = closeErr
	} else if closeErr == nil {
		t.Errorf("Close does not report %v", err)
	}
	if !errors.Is(err, wantErr) {
		t.Errorf("ended with %v, want %v", err, wantErr)
	}
	if wantErr == nil && got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

// firstWrite runs f when the first bytes of the object arrive.
type firstWrite struct {
	f    func()
	done bool
}

func (w *firstWrite) Write(b []byte) (int, error) {
	if !w.done {
		w.done = true
		w.f()
	}
	return len(b), nil
}

// TestPortClosedEarly closes a port before Accept.
func TestPortClosedEarly(t *testing.T) {
	p := openTCP(t, Range{})
	data := p.dial(t, "127.0.0.1", "")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if n, err := data.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes from a closed port", n)
	}
}

func TestRange(t *testing.T) {
	free := freePorts(t)
	p := openTCP(t, free)
	if port := p.Number(); port < int(free.First) || port > int(free.Last) {
		t.Errorf("port %d is not in %v", port, free)
	}
	q := openTCP(t, free)
	if p.Number() == q.Number() {
		t.Errorf("two ports %d", p.Number())
	}
	server, _ := tcpPair(t)
	if _, err := Open(server, free, nil); !errors.Is(err, ErrNoPort) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a third of two ports: %v", err)
	}
	p.Close()
	if again := openTCP(t, free); again.Number() != p.Number() {
		t.Errorf("port %d, want %d again", again.Number(), p.Number())
	}
	if _, err := Open(server, Range{2, 1}, nil); !errors.Is(err, ErrNoPort) {
		t.Errorf("an empty range: %v", err)
	}
	pipe, _ := net.Pipe()
	if _, err := Open(pipe, Range{}, nil); !errors.Is(err, ErrNoPort) {
		t.Errorf("for a pipe: %v", err)
	}
}

// freePorts finds two adjacent ports that are free, below those that other tests use.
func freePorts(t *testing.T) Range {
	t.Helper()
	for range 100 {
		first := uint16(10000 + rand.IntN(9999))
		if isFree(first) && isFree(first+1) {
			return Range{first, first + 1}
		}
	}
	t.Fatal("no two free ports")
	return Range{}
}

func isFree(port uint16) bool {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

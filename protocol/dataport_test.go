package protocol

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A dataPair is a DataPort and the client it is open for.
type dataPair struct {
	serverPair
	*DataPort
	refusals *atomic.Int64
}

func openData(t testing.TB, pair serverPair, ports PortRange) dataPair {
	t.Helper()
	refusals := new(atomic.Int64)
	p, err := pair.OpenDataPort(ports, func(net.Addr) { refusals.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return dataPair{pair, p, refusals}
}

// dataKinds are the control connections a data port is opened for.
var dataKinds = []struct {
	name string
	make func(t testing.TB) serverPair
	host string
}{
	{"unix", unixPair, "127.0.0.1"},
	{"tcp", tcpPair, "127.0.0.1"},
	{"tcp on all addresses", func(t testing.TB) serverPair { return pairOn(t, "[::]:0", "127.0.0.1") }, "127.0.0.1"},
	{"tcp on another address", func(t testing.TB) serverPair { return pairOn(t, "0.0.0.0:0", "127.0.0.3") }, "127.0.0.3"},
	{"tcp6", func(t testing.TB) serverPair { return pairOn(t, "[::1]:0", "::1") }, "::1"},
}

// pairOn listens on an address and connects to a host that belongs to it.
func pairOn(t testing.TB, listen, host string) serverPair {
	t.Helper()
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	client, err := net.Dial("tcp", net.JoinHostPort(host, port))
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return newServerPair(t, server, client)
}

// dial connects to the data port, from a host or, if it is empty, from the usual one.
func (p dataPair) dial(t testing.TB, host, from string) *net.TCPConn {
	t.Helper()
	var d net.Dialer
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	nc, err := d.Dial("tcp", net.JoinHostPort(host, strconv.Itoa(p.Port())))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(hang))
	return nc.(*net.TCPConn)
}

func TestDataPort(t *testing.T) {
	large := strings.Repeat(kib, 3000)
	tests := []struct {
		name, content string
		limit         int64
		err           error
	}{
		{name: "empty"},
		{name: "small", content: "abc"},
		{name: "looks like chunks", content: chunks("abc", "")},
		{name: "large", content: large},
		{name: "just the limit", content: large, limit: int64(len(large))},
		{name: "one over the limit", content: large, limit: int64(len(large)) - 1, err: ErrStreamLimit},
		{name: "over the limit at once", content: "ab", limit: 1, err: ErrStreamLimit},
	}
	for _, kind := range dataKinds {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := openData(t, kind.make(t), PortRange{})
				data := p.dial(t, kind.host, "")
				go func() {
					io.WriteString(data, tt.content)
					data.Close()
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
				if err == nil && got.String() != tt.content || n != int64(got.Len()) || !strings.HasPrefix(tt.content, got.String()) {
					t.Errorf("%d of %d bytes came, %d were counted", got.Len(), len(tt.content), n)
				}
				if err != nil && !s.Drain(hang, hang, int64(len(tt.content))) {
					t.Error("the end was not reached")
				}
				if err := p.DataPort.Close(); !errors.Is(err, tt.err) {
					t.Errorf("Close: %v, want %v", err, tt.err)
				}
				if _, err := net.Dial("tcp", p.ln.Addr().String()); err == nil {
					t.Error("the port is still open")
				}
			})
		}
	}
}

// A link-local address says nothing without its zone.
func TestDataPortZone(t *testing.T) {
	host := linkLocal(t)
	p := openData(t, pairOn(t, "[::]:0", host), PortRange{})
	data := p.dial(t, host, "")
	io.WriteString(data, "abc")
	data.CloseWrite()
	checkData(t, p, "abc", nil)
	if got := address(p.ln.Addr()); got.Zone() == "" || got.String() != host {
		t.Errorf("listening on %v, want %v", got, host)
	}
}

// linkLocal is an address of this host with its zone.
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

// checkData wants the content, or none for a reason.
func checkData(t *testing.T, p dataPair, want string, wantErr error) {
	t.Helper()
	var got bytes.Buffer
	s, err := p.Accept(0, hang)
	if err == nil {
		_, err = s.WriteTo(&got)
		if _, again := s.WriteTo(io.Discard); err != nil && again == nil {
			t.Errorf("after %v the content is complete", err)
		}
	}
	if closeErr := p.DataPort.Close(); err == nil {
		err = closeErr
	} else if closeErr == nil {
		t.Errorf("Close knows nothing of %v", err)
	}
	if !errors.Is(err, wantErr) {
		t.Errorf("ended with %v, want %v", err, wantErr)
	}
	if wantErr == nil && got.String() != want {
		t.Errorf("got %q, want %q", got.String(), want)
	}
}

// writing runs f when the first bytes of the content have come.
type writing struct {
	f    func()
	once bool
}

func (w *writing) Write(b []byte) (int, error) {
	if !w.once {
		w.once = true
		w.f()
	}
	return len(b), nil
}

// What happens to the data connection or beside it in the middle of the content.
func TestDataPortMiddle(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, p dataPair, data *net.TCPConn)
		want error
	}{
		{"reset", func(t *testing.T, p dataPair, data *net.TCPConn) { data.SetLinger(0); data.Close() }, ErrDataLost},
		{"second connection", func(t *testing.T, p dataPair, data *net.TCPConn) { p.dial(t, "127.0.0.1", "") }, ErrSecondConnection},
		{"second connection with content", func(t *testing.T, p dataPair, data *net.TCPConn) {
			second := p.dial(t, "127.0.0.1", "")
			io.WriteString(second, "clean")
			second.Close()
		}, ErrSecondConnection},
		{"client gone", func(t *testing.T, p dataPair, data *net.TCPConn) { p.client.Close() }, io.EOF},
		{"client half-closes", func(t *testing.T, p dataPair, data *net.TCPConn) { p.end() }, io.EOF},
		{"client sends more", func(t *testing.T, p dataPair, data *net.TCPConn) { p.send(t, "nPING\n") }, ErrBehindStream},
		{"server cuts the client off", func(t *testing.T, p dataPair, data *net.TCPConn) { p.Conn.nc.Close() }, io.EOF},
		{"nothing more", func(t *testing.T, p dataPair, data *net.TCPConn) {}, os.ErrDeadlineExceeded},
		{"a stranger", func(t *testing.T, p dataPair, data *net.TCPConn) {
			p.dial(t, "127.0.0.1", "127.0.0.2")
			for end := time.Now().Add(hang); p.refusals.Load() == 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
			}
			data.CloseWrite()
		}, nil},
	}
	for _, kind := range dataKinds[:2] {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := openData(t, kind.make(t), PortRange{})
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
				_, err = s.WriteTo(&writing{f: func() { tt.do(t, p, data) }})
				if !errors.Is(err, tt.want) {
					t.Errorf("ended with %v, want %v", err, tt.want)
				}
				if _, again := s.WriteTo(io.Discard); err != nil && again == nil {
					t.Errorf("after %v the content is complete", err)
				}
				if err := p.DataPort.Close(); !errors.Is(err, tt.want) {
					t.Errorf("Close: %v, want %v", err, tt.want)
				}
			})
		}
	}
}

// A reset behind the whole content, before its end.
func TestDataPortResetInsteadOfEnd(t *testing.T) {
	p := openData(t, tcpPair(t), PortRange{})
	data := p.dial(t, "127.0.0.1", "")
	io.WriteString(data, "all of it")
	s, err := p.Accept(0, hang)
	if err != nil {
		t.Fatal(err)
	}
	data.SetLinger(0)
	data.Close()
	if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrDataLost) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}

// What happens before anybody has connected.
func TestDataPortWait(t *testing.T) {
	tests := []struct {
		name string
		do   func(t *testing.T, p dataPair)
		want error
	}{
		{"nobody", func(t *testing.T, p dataPair) { p.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) }, ErrNoDataConnection},
		{"strangers only", func(t *testing.T, p dataPair) {
			for range 20 {
				p.dial(t, "127.0.0.1", "127.0.0.2")
			}
			p.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		}, ErrNoDataConnection},
		{"strangers, then the client", func(t *testing.T, p dataPair) {
			for range 20 {
				io.WriteString(p.dial(t, "127.0.0.1", "127.0.0.2"), "clean")
			}
			data := p.dial(t, "127.0.0.1", "")
			io.WriteString(data, "content")
			data.CloseWrite()
		}, nil},
		{"client gone", func(t *testing.T, p dataPair) { p.client.Close() }, io.EOF},
		{"client half-closes", func(t *testing.T, p dataPair) { p.end() }, io.EOF},
		{"client sends more", func(t *testing.T, p dataPair) { p.send(t, "x") }, ErrBehindStream},
		{"server cuts the client off", func(t *testing.T, p dataPair) { p.Conn.nc.Close() }, io.EOF},
		{"nobody can be accepted", func(t *testing.T, p dataPair) { p.ln.Close() }, ErrDataAccept},
		{"two at once", func(t *testing.T, p dataPair) {
			both := []*net.TCPConn{p.dial(t, "127.0.0.1", ""), p.dial(t, "127.0.0.1", "")}
			for _, data := range both {
				io.WriteString(data, "content")
				data.Close()
			}
		}, ErrSecondConnection},
		// The kernel hands over a connection that has been reset already.
		{"reset at once", func(t *testing.T, p dataPair) {
			data := p.dial(t, "127.0.0.1", "")
			io.WriteString(data, "content")
			data.SetLinger(0)
			data.Close()
		}, ErrDataLost},
	}
	for _, kind := range dataKinds[:2] {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name+", before", func(t *testing.T) {
				p := openData(t, kind.make(t), PortRange{})
				tt.do(t, p)
				checkData(t, p, "content", tt.want)
			})
			t.Run(kind.name+"/"+tt.name+", meanwhile", func(t *testing.T) {
				p := openData(t, kind.make(t), PortRange{})
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

// Another connection when the content is there: before Close it counts, wherever it is.
func TestDataPortAfterTheEnd(t *testing.T) {
	unmet := func(p dataPair) { // from here on who connects waits in the backlog
		p.ln.SetDeadline(time.Unix(1, 0))
		<-p.accepted
	}
	tests := []struct {
		name string
		do   func(t *testing.T, p dataPair, host string)
		want error
	}{
		{"accepted", func(t *testing.T, p dataPair, host string) {
			second := p.dial(t, host, "")
			io.ReadAll(second) // it is closed: it has been met
		}, ErrSecondConnection},
		{"in the backlog", func(t *testing.T, p dataPair, host string) { unmet(p); p.dial(t, host, "") }, ErrSecondConnection},
		{"gone from the backlog", func(t *testing.T, p dataPair, host string) {
			unmet(p)
			second := p.dial(t, host, "")
			second.SetLinger(0)
			second.Close()
		}, ErrSecondConnection},
		// As with clamd, what the client does on its own connection no longer matters.
		{"client half-closes", func(t *testing.T, p dataPair, _ string) { p.end() }, nil},
		{"client sends more", func(t *testing.T, p dataPair, _ string) { p.send(t, "x") }, nil},
		{"nobody can be accepted", func(t *testing.T, p dataPair, _ string) { p.ln.Close() }, ErrDataAccept},
		{"strangers in the backlog", func(t *testing.T, p dataPair, host string) {
			unmet(p)
			for range 3 {
				p.dial(t, host, "127.0.0.2")
			}
		}, nil},
	}
	for _, kind := range dataKinds {
		for _, tt := range tests {
			if strings.HasPrefix(tt.name, "strangers") && kind.host == "::1" {
				continue // there is no second address
			}
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := openData(t, kind.make(t), PortRange{})
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
					if err := p.DataPort.Close(); !errors.Is(err, tt.want) {
						t.Errorf("Close: %v, want %v", err, tt.want)
					}
				}
			})
		}
	}
}

// A port that is closed before anybody has waited for the client.
func TestDataPortCloseAtOnce(t *testing.T) {
	p := openData(t, tcpPair(t), PortRange{})
	data := p.dial(t, "127.0.0.1", "")
	if err := p.DataPort.Close(); err != nil {
		t.Error(err)
	}
	if n, err := data.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes from a port without a use", n)
	}
}

func TestDataPortRange(t *testing.T) {
	free := freePorts(t)
	p := openData(t, tcpPair(t), free)
	if port := p.Port(); port < int(free.First) || port > int(free.Last) {
		t.Errorf("port %d is not of %v", port, free)
	}
	q := openData(t, tcpPair(t), free)
	if p.Port() == q.Port() {
		t.Errorf("two ports %d", p.Port())
	}
	if _, err := tcpPair(t).OpenDataPort(free, nil); !errors.Is(err, ErrNoDataPort) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a third of two ports: %v", err)
	}
	p.DataPort.Close()
	if again := openData(t, tcpPair(t), free); again.Port() != p.Port() {
		t.Errorf("port %d, want %d again", again.Port(), p.Port())
	}
	if _, err := tcpPair(t).OpenDataPort(PortRange{2, 1}, nil); !errors.Is(err, ErrNoDataPort) {
		t.Errorf("an empty range: %v", err)
	}
	server, client := net.Pipe()
	if _, err := newServerPair(t, server, client).OpenDataPort(PortRange{}, nil); !errors.Is(err, ErrNoDataPort) {
		t.Errorf("for a pipe: %v", err)
	}
}

// freePorts finds two ports side by side that nobody has at the moment, below those
// that the kernel gives to clients.
func freePorts(t *testing.T) PortRange {
	t.Helper()
	for range 100 {
		first := uint16(10000 + rand.IntN(20000))
		if isFree(first) && isFree(first+1) {
			return PortRange{first, first + 1}
		}
	}
	t.Fatal("no two free ports")
	return PortRange{}
}

func isFree(port uint16) bool {
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return false
	}
	ln.Close()
	return true
}

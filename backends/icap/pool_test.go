package icap

import (
	"io"
	"net"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// pipe is a kept connection and its other end.
func pipe(t *testing.T) (*conn, net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close(); other.Close() })
	return newConn(nc, nc), other
}

// TestPoolTakesQuiet: what was closed, or has something to say, is not used.
func TestPoolTakesQuiet(t *testing.T) {
	for name, disturb := range map[string]func(other net.Conn){
		"closed":      func(other net.Conn) { other.Close() },
		"answer":      func(other net.Conn) { io.WriteString(other, recorded204) },
		"half-closed": func(other net.Conn) { other.(*net.TCPConn).CloseWrite() },
	} {
		p := newPool(true)
		c, other := pipe(t)
		if !c.quiet() {
			t.Errorf("%s: not quiet at first", name)
		}
		p.Put(c)
		disturb(other)
		end := time.Now().Add(10 * time.Second)
		for c.quiet() && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
		if _, ok := p.Take(); ok {
			t.Errorf("%s: used again", name)
		}
		p.Close(endConn)
	}
}

// TestStaleAnswer: an answer too many is not the answer to the next request.
func TestStaleAnswer(t *testing.T) {
	twice := make(chan struct{})
	f := startFake(t, map[string]service{"avscan": func(nc io.Writer, q *received) bool {
		if !marked(nc, q) {
			return false
		}
		if q.nth == 2 { // behind OPTIONS
			<-twice // the first scan is over
			io.WriteString(nc, recorded204)
			twice <- struct{}{}
		}
		return true
	}})
	b := open(t, f.address())
	if got := checked(t, b, backendtest.CleanContent(t)); got.category != backends.OK {
		t.Fatal(got)
	}
	twice <- struct{}{}
	<-twice
	if got := checked(t, b, backendtest.Bytes(t, backendtest.EICAR())); got.category != backends.Virus {
		t.Errorf("got %v", got)
	}
}

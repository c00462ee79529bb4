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

func TestPoolReaps(t *testing.T) {
	p := pool{keep: true}
	old, _ := pipe(t)
	fresh, _ := pipe(t)
	p.put(old)
	p.put(fresh)
	now := time.Now()
	p.idle[0].since = now.Add(-maxIdle)
	p.reap(now)
	if len(p.idle) != 1 || p.take() != fresh {
		t.Error("the wrong one is gone")
	}
	if _, err := old.nc.Write([]byte("x")); err == nil {
		t.Error("the old one is open")
	}
	p.put(fresh)
	p.close()
	p.reap(now.Add(time.Hour))
	if p.take() != nil {
		t.Error("closed, and something in it")
	}
}

// TestPoolTakesQuiet: what was closed, or has something to say, is not used.
func TestPoolTakesQuiet(t *testing.T) {
	for name, disturb := range map[string]func(other net.Conn){
		"closed":      func(other net.Conn) { other.Close() },
		"answer":      func(other net.Conn) { io.WriteString(other, recorded204) },
		"half-closed": func(other net.Conn) { other.(*net.TCPConn).CloseWrite() },
	} {
		p := pool{keep: true}
		c, other := pipe(t)
		if !c.quiet() {
			t.Errorf("%s: not quiet at first", name)
		}
		p.put(c)
		disturb(other)
		end := time.Now().Add(10 * time.Second)
		for c.quiet() && time.Now().Before(end) {
			time.Sleep(time.Millisecond)
		}
		if p.take() != nil {
			t.Errorf("%s: used again", name)
		}
		p.close()
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

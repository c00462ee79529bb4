package local

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/testkit"
)

// hang ends a test that hangs. No assertion depends on it.
const hang = time.Minute

func listen(t *testing.T) (*Listener, string) {
	t.Helper()
	path := filepath.Join(testkit.SocketDir(t), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := Listen(ln)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// pair returns both ends of a connection. If waited is set, the accepted one has waited.
func pair(t *testing.T, waited bool) (*net.UnixConn, *Conn) {
	t.Helper()
	l, path := listen(t)
	nc, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	client := nc.(*net.UnixConn)
	client.SetDeadline(time.Now().Add(hang))
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := accepted.(*Conn)
	t.Cleanup(func() { client.Close(); c.Close() })
	if waited {
		read := make(chan error, 1)
		go func() {
			_, err := io.ReadFull(c, make([]byte, 1))
			read <- err
		}()
		testkit.Eventually(t, "the connection waits", c.waits)
		client.Write([]byte("w"))
		if err := <-read; err != nil {
			t.Fatal(err)
		}
	}
	if c.waits() != waited {
		t.Fatalf("waits: %v", c.waits())
	}
	return client, c
}

// waits reports whether the runtime polls the connection.
func (c *Conn) waits() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw != nil
}

// both runs a test with a connection that has not had to wait, and with one that has.
func both(t *testing.T, test func(t *testing.T, client *net.UnixConn, c *Conn)) {
	for name, waited := range map[string]bool{"fresh": false, "waited": true} {
		t.Run(name, func(t *testing.T) {
			client, c := pair(t, waited)
			test(t, client, c)
		})
	}
}

// TestNoPoller checks that a request that is there, and its reply, need no poller.
func TestNoPoller(t *testing.T) {
	client, c := pair(t, false)
	client.Write([]byte("request"))
	c.SetDeadline(time.Now().Add(hang))
	b := make([]byte, 100)
	if n, err := c.Read(b); string(b[:n]) != "request" || err != nil {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if _, err := c.Write([]byte("reply")); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(client); string(got) != "reply" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client.Close()
	if n, err := c.Read(b); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if c.waits() {
		t.Error("the poller has the connection")
	}
}

// TestWrite writes more than the socket takes.
func TestWrite(t *testing.T) {
	both(t, func(t *testing.T, client *net.UnixConn, c *Conn) {
		want := bytes.Repeat([]byte("0123456789"), 200_000)
		written := make(chan error, 1)
		go func() {
			n, err := c.Write(want)
			if n != len(want) {
				err = errors.Join(err, io.ErrShortWrite)
			}
			c.CloseWrite()
			written <- err
		}()
		got, err := io.ReadAll(client)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// TestWriteGone checks the error of a write to a client that has gone.
func TestWriteGone(t *testing.T) {
	both(t, func(t *testing.T, client *net.UnixConn, c *Conn) {
		client.Close()
		if _, err := c.Write([]byte("x")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("%v", err)
		}
	})
}

// TestDeadlines checks deadlines that are over before a call, and those that come, or are set,
// while it waits.
func TestDeadlines(t *testing.T) {
	both(t, func(t *testing.T, client *net.UnixConn, c *Conn) {
		b := make([]byte, 1)
		read := func() error { _, err := c.Read(b); return err }
		write := func() error { _, err := c.Write(make([]byte, 4<<20)); return err }
		client.Write([]byte("x")) // even this is not read after the deadline
		for name, call := range map[string]func() error{"read": read, "write": write} {
			c.SetDeadline(time.Unix(1, 0))
			if err := call(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: a deadline before: %v", name, err)
			}
		}
		c.SetDeadline(time.Time{})
		if err := read(); err != nil {
			t.Errorf("without a deadline: %v", err)
		}
		for name, call := range map[string]func() error{"read": read, "write": write} {
			c.SetDeadline(time.Now().Add(time.Millisecond))
			if err := call(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: a deadline to come: %v", name, err)
			}
		}
		c.SetDeadline(time.Time{})
		ended := make(chan error, 1)
		go func() { ended <- read() }()
		testkit.Eventually(t, "the read waits", c.waits)
		c.SetReadDeadline(time.Unix(1, 0))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a deadline meanwhile: %v", err)
		}
	})
}

// TestClose checks that Close ends calls that wait, and that nothing uses the descriptor
// later, when it may be another file's.
func TestClose(t *testing.T) {
	both(t, func(t *testing.T, client *net.UnixConn, c *Conn) {
		ended := make(chan error, 1)
		go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
		testkit.Eventually(t, "the read waits", c.waits)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read: %v", err)
		}
		checkClosed(t, c)
		if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the client reads %d, %v", n, err)
		}
	})
}

func checkClosed(t *testing.T, c *Conn) {
	t.Helper()
	raw, _ := c.SyscallConn()
	used := func(uintptr) bool { t.Error("the descriptor was used"); return true }
	for name, err := range map[string]error{
		"read":     func() error { _, err := c.Read(make([]byte, 1)); return err }(),
		"write":    func() error { _, err := c.Write([]byte("x")); return err }(),
		"shutdown": c.CloseWrite(),
		"close":    c.Close(),
		"deadline": c.SetDeadline(time.Now()),
		"raw read": raw.Read(used), "raw write": raw.Write(used), "control": raw.Control(func(fd uintptr) { used(fd) }),
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s after Close: %v", name, err)
		}
	}
}

// TestCloseWithin closes a connection within a call on its descriptor, which must stay open
// until the call ends, while another call waits.
func TestCloseWithin(t *testing.T) {
	both(t, func(t *testing.T, client *net.UnixConn, c *Conn) {
		ended := make(chan error, 1)
		raw, _ := c.SyscallConn()
		err := raw.Control(func(fd uintptr) {
			go func() { _, err := c.Read(make([]byte, 1)); ended <- err }()
			testkit.Eventually(t, "the read waits", c.waits)
			c.Close()
			if err := <-ended; !errors.Is(err, net.ErrClosed) {
				t.Errorf("read: %v", err)
			}
			if _, err := unix.FcntlInt(fd, unix.F_GETFD, 0); err != nil {
				t.Errorf("closed under a call: %v", err)
			}
		})
		if err != nil {
			t.Error(err)
		}
		checkClosed(t, c)
		if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("the client reads %d, %v", n, err)
		}
	})
}

// TestPanic checks that a callback that panics does not keep the descriptor open.
func TestPanic(t *testing.T) {
	client, c := pair(t, false)
	raw, _ := c.SyscallConn()
	func() {
		defer func() { recover() }()
		raw.Read(func(uintptr) bool { panic("in a callback") })
	}()
	c.Close()
	if n, err := client.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("the client reads %d, %v", n, err)
	}
}

// TestTogether uses a connection from many goroutines at the same time.
func TestTogether(t *testing.T) {
	for range 200 {
		client, c := pair(t, false)
		var all sync.WaitGroup
		for _, f := range []func(){
			func() { client.Write([]byte("xy")) },
			func() { c.Read(make([]byte, 1)) },
			func() { c.Read(make([]byte, 1)) },
			func() { c.Write([]byte("x")) },
			func() { c.SetDeadline(time.Now().Add(hang)) },
			func() { c.CloseWrite() },
			func() { c.Close() },
		} {
			all.Go(f)
		}
		all.Wait()
		checkClosed(t, c)
	}
}

// TestListener checks how Accept ends, and that no connection is lost before.
func TestListener(t *testing.T) {
	l, path := listen(t)
	if l.Addr().String() != path || l.Addr().Network() != "unix" {
		t.Errorf("address %v", l.Addr())
	}
	if _, err := l.AcceptQueued(); err != ErrEmpty {
		t.Errorf("an empty backlog: %v", err)
	}
	dial := func() net.Conn {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	dial()
	dial()
	l.SetDeadline(time.Unix(1, 0))
	if _, err := l.Accept(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	raw, _ := l.SyscallConn()
	raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RD) })
	for range 2 {
		c, err := l.AcceptQueued()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if _, err := l.AcceptQueued(); err != ErrEmpty {
		t.Errorf("shut down: %v", err)
	}

	l, _ = listen(t)
	ended := make(chan error, 1)
	go func() { _, err := l.Accept(); ended <- err }()
	l.Close()
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := l.AcceptQueued(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed before: %v", err)
	}
}

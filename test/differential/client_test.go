package differential

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// hang is how long a server may be silent before the dialogue gives up.
	hang = 30 * time.Second
	// settle is how long a connection that should stay open is watched.
	settle = 300 * time.Millisecond
)

// outcome is what a client saw of a whole dialogue.
type outcome struct {
	text string // everything received
	end  string // "closed", "open" or what went wrong
}

func (o outcome) String() string { return fmt.Sprintf("%s %s", quote(o.text), o.end) }

// quote escapes and shortens s.
func quote(s string) string {
	q := fmt.Sprintf("%q", s)
	if len(q) > 1500 {
		return q[:700] + "[...]" + q[len(q)-700:]
	}
	return q
}

func closed(text string) outcome { return outcome{text, "closed"} }
func open(text string) outcome   { return outcome{text, "open"} }

// client plays one dialogue over one connection.
type client struct {
	conn  net.Conn
	files []*os.File // open files to send

	mu       sync.Mutex
	received []byte
	ended    error // io.EOF, ECONNRESET, ...
	change   chan struct{}
	seen     int    // end of the awaited replies
	trouble  string // an await that timed out
}

func dial(network, address string) (*client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	conn, err := connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &client{conn: conn, change: make(chan struct{}, 1)}
	go c.receive()
	return c, nil
}

// connect waits while the backlog of a Unix socket is full, as a blocking connect(2) does:
// on the non-blocking sockets of package net it fails with EAGAIN.
func connect(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	for {
		nc, err := d.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (c *client) receive() {
	buf := make([]byte, 64<<10)
	for {
		n, err := c.conn.Read(buf)
		c.mu.Lock()
		c.received = append(c.received, buf[:n]...)
		c.ended = err
		c.mu.Unlock()
		select {
		case c.change <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// wait blocks until ok reports true or the limit is over. It calls ok with mu held.
func (c *client) wait(limit time.Duration, ok func() bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-c.change:
		case <-timer.C:
			return false
		}
	}
}

// finish waits for the server to close, or checks for a moment that it does not, and
// closes.
func (c *client) finish(staysOpen bool) (outcome, bool) {
	limit := hang
	if staysOpen {
		limit = settle
	}
	c.wait(limit, func() bool { return c.ended != nil })
	c.mu.Lock()
	defer c.mu.Unlock()
	o := outcome{text: string(c.received), end: "open"}
	reset := false
	if c.ended != nil {
		o.end = "closed"
		reset = !errors.Is(c.ended, io.EOF)
	}
	if c.trouble != "" {
		o.end += ", " + c.trouble
	}
	c.conn.Close()
	for _, f := range c.files {
		f.Close()
	}
	return o, reset
}

// A step is one thing a client does.
type step func(c *client)

// send writes the bytes in one write. The server is free to have closed the connection
// by then.
func send(s string) step {
	return func(c *client) {
		c.conn.SetWriteDeadline(time.Now().Add(hang))
		io.WriteString(c.conn, s)
	}
}

// pieces sends each piece after the server has read the previous one, so that each
// arrives as its own packet.
func pieces(ss ...string) step {
	return func(c *client) {
		for i, s := range ss {
			if i > 0 {
				consumed(c)
			}
			send(s)(c)
		}
	}
}

// opener opens a descriptor to send.
type opener func() (*os.File, error)

// sendFiles writes the bytes with the descriptors attached, in one sendmsg. As with
// send, the server may have closed the connection.
func sendFiles(s string, openers ...opener) step {
	return func(c *client) {
		var fds []int
		for _, open := range openers {
			f, err := open()
			if err != nil {
				c.trouble = err.Error()
				return
			}
			c.files = append(c.files, f)
			fds = append(fds, int(f.Fd()))
		}
		u, ok := c.conn.(*net.UnixConn)
		if !ok {
			c.trouble = "descriptors need a Unix socket"
			return
		}
		u.WriteMsgUnix([]byte(s), syscall.UnixRights(fds...), nil)
	}
}

// half closes the client's direction.
func half(c *client) {
	if cw, ok := c.conn.(interface{ CloseWrite() error }); ok {
		cw.CloseWrite()
	}
}

// await waits until s has arrived after what the last await found.
func await(s string) step {
	return func(c *client) {
		found := c.wait(hang, func() bool {
			i := bytes.Index(c.received[c.seen:], []byte(s))
			if i >= 0 {
				c.seen += i + len(s)
			}
			return i >= 0 || c.ended != nil
		})
		if !found {
			c.trouble = fmt.Sprintf("waited in vain for %q", s)
		}
	}
}

// consumed waits until the server has read everything from a Unix socket. It gives up
// after a moment if the server does not read. On TCP, where the client cannot know, it
// is a short pause.
func consumed(c *client) {
	u, ok := c.conn.(*net.UnixConn)
	if !ok {
		time.Sleep(50 * time.Millisecond)
		return
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return
	}
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		left := 0
		raw.Control(func(fd uintptr) { left, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		if left == 0 || err != nil {
			return
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// pause lets time pass for the server: these dialogues are about time.
func pause(d time.Duration) step { return func(*client) { time.Sleep(d) } }

// chunk is one piece of a stream with its header.
func chunk(s string) string {
	n := len(s)
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + s
}

// end is the end marker of a stream.
const end = "\x00\x00\x00\x00"

// stream is one chunk and the end marker. An empty stream is only the end marker.
func stream(s string) string {
	if s == "" {
		return end
	}
	return chunk(s) + end
}

// chunked cuts s into chunks of n bytes and ends the stream.
func chunked(s string, n int) string {
	var b strings.Builder
	for len(s) > n {
		b.WriteString(chunk(s[:n]))
		s = s[n:]
	}
	b.WriteString(stream(s))
	return b.String()
}

func TestChunked(t *testing.T) {
	if got, want := chunked("abcde", 2), "\x00\x00\x00\x02ab\x00\x00\x00\x02cd\x00\x00\x00\x01e\x00\x00\x00\x00"; got != want {
		t.Errorf("chunked = %q, want %q", got, want)
	}
}

package engineconn

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/testkit"
)

// serve plays the next dialogue on each connection, the last one again when there is none
// left, and returns the address.
func serve(t *testing.T, network string, dialogues ...func(net.Conn)) string {
	t.Helper()
	l := testkit.Listen(t, network)
	var conns atomic.Int64
	testkit.ServeOn(t, l, func(nc net.Conn) {
		dialogues[min(int(conns.Add(1)), len(dialogues))-1](nc)
	})
	return l.Addr().String()
}

// echo plays an engine that reads "SCAN <size>\n" and the object, and answers with a
// line. After each answer it calls after, if that is not nil.
func echo(after func(net.Conn, int)) func(net.Conn) {
	return func(nc net.Conn) {
		r := bufio.NewReader(nc)
		for n := 0; ; n++ {
			var size int64
			if _, err := fmt.Fscanf(r, "SCAN %d\n", &size); err != nil {
				return
			}
			data := make([]byte, size)
			if _, err := io.ReadFull(r, data); err != nil {
				return
			}
			answer := "CLEAN\n"
			if bytes.Contains(data, []byte("virus")) {
				answer = "VIRUS\n"
			}
			io.WriteString(nc, answer)
			if after != nil {
				after(nc, n)
			}
		}
	}
}

func client(t *testing.T, network, address string, set func(*Client)) *Client {
	t.Helper()
	c := &Client{Engine: "test", Address: network + ":" + address, Dialer: Dialer{Network: network, Address: address, Timeout: 5 * time.Second}}
	if set != nil {
		set(c)
	}
	c.Open()
	t.Cleanup(func() { c.Close() })
	return c
}

func keep(c *Client) { c.Keep = true }

func scan(ctx context.Context, c *Client, object []byte) (backends.Result, error) {
	return c.Scan(ctx, func(conn *Conn, a *backends.Answer) error {
		err := conn.Send(func(w io.Writer) error {
			fmt.Fprintf(w, "SCAN %d\n", len(object))
			return Object(w, bytes.NewReader(object), 0, int64(len(object)))
		})
		if err != nil {
			return err
		}
		line, err := conn.Line()
		switch {
		case err != nil:
			return err
		case line == "CLEAN":
			a.Add(backends.OK, 0, "")
		case line == "LOCKED":
			a.Add(backends.Encrypted, 0, line)
		case line == "VIRUS":
			a.Found(backends.Virus, 1, "Test", "")
		default:
			return fmt.Errorf("unexpected answer %q", line)
		}
		return nil
	})
}

var sizes = []int{0, 1, 100, bufferSize - 8, bufferSize, bufferSize + 1, 3 << 20}

func TestScan(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		backendtest.NoLeaks(t)
		c := client(t, network, serve(t, network, echo(nil)), keep)
		for _, size := range sizes {
			for _, virus := range []bool{false, true, false} {
				object, want := bytes.Repeat([]byte("a"), size), backends.OK
				if virus {
					object, want = append(object, "virus"...), backends.Virus
				}
				r, err := scan(t.Context(), c, object)
				if err != nil || r.Category != want {
					t.Errorf("%s, %d bytes: %+v, %v, want %v", network, size, r, err, want)
				}
			}
		}
		if c.Idle() != 1 {
			t.Errorf("%d connections are kept", c.Idle())
		}
		c.Close()
	}
}

// TestEarly checks that an answer while the object is being sent counts only if it is a
// virus.
func TestEarly(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   backends.Category
	}{{"CLEAN\n", ""}, {"LOCKED\n", ""}, {"VIRUS\n", backends.Virus}} {
		for name, after := range map[string]func(net.Conn){
			"stops reading": func(nc net.Conn) { io.ReadFull(nc, make([]byte, 100)); <-t.Context().Done() },
			"reads on":      func(nc net.Conn) { io.Copy(io.Discard, nc) },
			"closes":        func(net.Conn) {},
		} {
			address := serve(t, "unix", func(nc net.Conn) {
				io.ReadFull(nc, make([]byte, 70))
				io.WriteString(nc, tt.answer)
				after(nc)
			})
			r, err := scan(t.Context(), client(t, "unix", address, keep), make([]byte, 8<<20))
			if r.Category != tt.want || (err == nil) != (tt.want == backends.Virus) {
				t.Errorf("%q, %s: %+v, %v", tt.answer, name, r, err)
			}
		}
	}
}

// TestBroken checks that a parser's error is returned unchanged unless the connection was
// lost.
func TestBroken(t *testing.T) {
	c := NewConn(nil)
	syntax := errors.New("not a number")
	if got := c.Broken(syntax); got != syntax {
		t.Errorf("got %v", got)
	}
	if got := c.Broken(io.ErrUnexpectedEOF); !errors.Is(got, backends.ErrNoReply) {
		t.Errorf("before the answer: %v", got)
	}
	c.replied = true
	for err, want := range map[error]string{io.EOF: "in the middle of the answer", net.ErrClosed: "connection lost"} {
		if got := c.Broken(fmt.Errorf("chunk: %w", err)); !strings.Contains(got.Error(), want) || errors.Is(got, backends.ErrNoReply) {
			t.Errorf("%v: got %v", err, got)
		}
	}
}

// TestShortObject checks that the engine never receives the end of a request whose object
// cannot be read.
func TestShortObject(t *testing.T) {
	got := make(chan []byte, 1)
	address := serve(t, "unix", func(nc net.Conn) {
		data, _ := io.ReadAll(nc)
		got <- data
	})
	c := client(t, "unix", address, nil)
	_, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
		return conn.Send(func(w io.Writer) error { return Object(w, strings.NewReader("short"), 0, 200_000) })
	})
	var object *backends.ObjectError
	if !errors.As(err, &object) || !strings.Contains(err.Error(), "ends after 5 of 200000 bytes") {
		t.Errorf("got %v", err)
	}
	if data := <-got; len(data) != 0 {
		t.Errorf("the engine received %d bytes", len(data))
	}
}

// TestEnds checks the errors of dialogues that an engine never finishes.
func TestEnds(t *testing.T) {
	silent := serve(t, "unix", func(nc net.Conn) { io.Copy(io.Discard, nc) })
	within := func(cause error) context.Context {
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		t.Cleanup(cancel)
		return ctx
	}
	limit := &backends.TimeoutError{After: time.Second, Key: "timeout"}
	for _, tt := range []struct {
		name string
		ctx  context.Context
		set  func(*Client)
		want backends.Category
		text string
	}{
		{"no answer", within(limit), nil, backends.Interrupted, "test unix:" + silent + ": waiting for the answer: no answer within 1s (key timeout)"},
		{"no greeting", t.Context(), func(c *Client) {
			c.Dialer.Timeout = time.Second
			c.Hello = func(conn *Conn) error { _, err := conn.Line(); return err }
		}, backends.CannotExecute, "greeting: no greeting within 1s (key connect_timeout)"},
		{"no socket", t.Context(), func(c *Client) { c.Dialer.Address += "x" }, backends.NotInstalled, "cannot connect: the socket does not exist. Is the engine running, and the key address right?"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := scan(tt.ctx, client(t, "unix", silent, tt.set), []byte("x"))
			if backends.CategoryOf(err) != tt.want || !strings.HasSuffix(err.Error(), tt.text) {
				t.Errorf("%v is %v, want %v", err, backends.CategoryOf(err), tt.want)
			}
			if got := backends.Unreachable(err); got != (tt.want != backends.Interrupted) {
				t.Errorf("unreachable: %v", got)
			}
		})
	}
}

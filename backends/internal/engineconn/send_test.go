package engineconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestNeverReads checks that a scan ends with its context although the engine reads
// nothing of a large object, or stops half-way.
func TestNeverReads(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for _, received := range []int{0, 1 << 20} {
			backendtest.NoLeaks(t)
			ctx, cancel := context.WithCancelCause(t.Context())
			limit := &backends.TimeoutError{After: time.Second, Key: "timeout"}
			address := serve(t, network, func(nc net.Conn) {
				io.ReadFull(nc, make([]byte, received))
				cancel(limit)
				<-t.Context().Done()
			})
			r, err := scan(ctx, client(t, network, address, nil), make([]byte, 32<<20))
			if got := outcome(r, err); got != "+interrupted" || !errors.Is(err, limit) {
				t.Errorf("%s, %d bytes: %+v, %v", network, received, r, err)
			}
			backendtest.WantPlain(t, err)
		}
	}
}

// TestEndsBeforeLastByte checks that a scan whose context ends just before the last byte
// is interrupted, and not taken for an early answer.
func TestEndsBeforeLastByte(t *testing.T) {
	limit := &backends.TimeoutError{After: time.Second, Key: "timeout"}
	for _, network := range []string{"unix", "tcp"} {
		for _, size := range []int{10, 1 << 20} {
			address := serve(t, network, func(nc net.Conn) { io.Copy(io.Discard, nc) })
			ctx, cancel := context.WithCancelCause(t.Context())
			r, err := client(t, network, address, nil).Scan(ctx, func(conn *Conn, a *backends.Answer) error {
				err := conn.Send(func(w io.Writer) error {
					_, err := w.Write(make([]byte, size))
					cancel(limit)
					conn.Close() // as the end of the context does
					return err
				})
				if err != nil {
					return err
				}
				_, err = conn.Line()
				return err
			})
			if got := outcome(r, err); got != "+interrupted" || !errors.Is(err, limit) {
				t.Errorf("%s, %d bytes: %+v, %v", network, size, r, err)
			}
			backendtest.WantPlain(t, err)
		}
	}
}

// TestRefusal plays an engine that refuses an object half-way and closes.
func TestRefusal(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		for name, end := range map[string]func(net.Conn){
			"closes":         func(net.Conn) {},
			"reads the rest": func(nc net.Conn) { io.Copy(io.Discard, nc) },
			"shuts down":     func(nc net.Conn) { nc.(interface{ CloseWrite() error }).CloseWrite(); io.Copy(io.Discard, nc) },
		} {
			address := serve(t, network, func(nc net.Conn) {
				io.ReadFull(nc, make([]byte, 70))
				io.WriteString(nc, "TOO LARGE\n")
				end(nc)
			})
			c := client(t, network, address, keep)
			r, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
				if err := conn.Send(func(w io.Writer) error { return Object(w, bytes.NewReader(make([]byte, 8<<20)), 0, 8<<20) }); err != nil {
					return err
				}
				line, err := conn.Line()
				if line == "TOO LARGE" {
					a.Refuse(4, line)
				}
				return err
			})
			// A reset may overtake the text; then the scan fails.
			if got := outcome(r, err); got != "partial" && (name != "closes" || r.Category != "" || err == nil) || c.Idle() != 0 {
				t.Errorf("%s, %s: %+v, %v", network, name, r, err)
			}
		}
	}
}

// TestCloseWrite checks that CloseWrite can mark the end of a request.
func TestCloseWrite(t *testing.T) {
	cert, key := certificate(t)
	whole := func(nc net.Conn) {
		data, err := io.ReadAll(nc)
		fmt.Fprintf(nc, "%d %v\n", len(data), err)
	}
	for _, tt := range []struct {
		network  string
		dialogue func(net.Conn)
		set      func(*Client)
	}{
		{"unix", whole, keep},
		{"tcp", whole, keep},
		{"tcp", over(server(t, cert, key, 0), whole), func(c *Client) { secure(t, TLS{CA: cert})(c); c.Keep = true }},
	} {
		c := client(t, tt.network, serve(t, tt.network, tt.dialogue), tt.set)
		for _, size := range []int{1, bufferSize - 1} {
			err := c.Do(t.Context(), func(conn *Conn) error {
				if err := conn.Command(strings.Repeat("a", size)); err != nil {
					return err
				}
				conn.CloseWrite()
				line, err := conn.Line()
				if want := fmt.Sprintf("%d <nil>", size); line != want {
					t.Errorf("%s: %q, want %q", tt.network, line, want)
				}
				return err
			})
			if err != nil || c.Idle() != 0 {
				t.Errorf("%s: %v, %d kept", tt.network, err, c.Idle())
			}
		}
	}
}

// TestSendAccepted checks that the object is not sent again when the connection ends after
// the engine has accepted the request.
func TestSendAccepted(t *testing.T) {
	connections := make(chan bool, 10)
	address := serve(t, "unix", func(nc net.Conn) {
		connections <- true
		b := make([]byte, 100)
		nc.Read(b)
		io.WriteString(nc, "GO\n")
		nc.Read(b)
	})
	_, err := client(t, "unix", address, keep).Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
		if err := conn.Command("Q\n"); err != nil {
			return err
		}
		if _, err := conn.Line(); err != nil {
			return err
		}
		err := conn.SendAccepted(func(w io.Writer) error { _, err := io.WriteString(w, "object"); return err })
		if err == nil {
			_, err = conn.Line()
		}
		return err
	})
	if errors.Is(err, backends.ErrNoReply) || backends.CategoryOf(err) != backends.SWErr || len(connections) != 1 {
		t.Errorf("%v, %d connections", err, len(connections))
	}
}

// TestInputBeforeRequest checks that input before the first request on a new connection is
// an error that quotes it.
func TestInputBeforeRequest(t *testing.T) {
	sent := make(chan struct{})
	address := serve(t, "unix", func(nc net.Conn) { io.WriteString(nc, "BUSY\n"); close(sent); io.Copy(io.Discard, nc) })
	c := client(t, "unix", address, func(c *Client) { c.Hello = func(*Conn) error { <-sent; return nil } })
	_, err := scan(t.Context(), c, []byte("x"))
	if err == nil || backends.CategoryOf(err) != backends.SWErr {
		t.Errorf("got %v", err)
	}

}

// TestBrokenObject tries objects that cannot be read from each boundary of the buffer.
func TestBrokenObject(t *testing.T) {
	address := serve(t, "unix", echo(nil))
	c := client(t, "unix", address, keep)
	for _, readable := range []int{0, 1, bufferSize - 1, bufferSize, bufferSize + 1, 3 * bufferSize} {
		scan(t.Context(), c, []byte("x")) // leaves an idle connection
		_, err := c.Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
			return conn.Send(func(w io.Writer) error {
				fmt.Fprintf(w, "SCAN %d\n", 4*bufferSize)
				return Object(w, bytes.NewReader(make([]byte, readable)), 0, 4*bufferSize)
			})
		})
		if !errors.As(err, new(*backends.ObjectError)) || c.Idle() != 0 {
			t.Errorf("%d bytes: %v, %d kept", readable, err, c.Idle())
		}
	}
}

// TestMoreInTheKernel checks that a second answer is noticed although the first one fills
// the buffer exactly, even on a connection that is not kept.
func TestMoreInTheKernel(t *testing.T) {
	first := strings.Repeat("x", 4095) + "\n"
	address := serve(t, "unix", func(nc net.Conn) {
		io.ReadFull(nc, make([]byte, 5))
		io.WriteString(nc, first+"VIRUS\n")
		<-t.Context().Done()
	})
	_, err := client(t, "unix", address, nil).Scan(t.Context(), func(conn *Conn, a *backends.Answer) error {
		if err := conn.Command("SCAN\n"); err != nil {
			return err
		}
		_, err := conn.Line()
		a.Add(backends.OK, 0, "")
		conn.NoReuse()
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "more than one answer") {
		t.Errorf("got %v", err)
	}
}

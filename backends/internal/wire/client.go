package wire

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// A Client speaks HTTP/1.x with one engine, see [Options.Client]. It is safe for
// concurrent use.
type Client struct {
	Host    string  // value of the Host field
	Fields  []Field // of every request
	MaxBody int64   // limit of an answer's body

	conns engineconn.Client
}

// Limits of kept connections. Servers may close them earlier, Node after 5 s.
const (
	idleLimit = 20 * time.Second
	maxIdle   = 64
)

// cooldown is how long a kept connection rests before it is reused. HTTP answers have no
// id; one that is repeated within this time is detected.
const cooldown = 100 * time.Millisecond

// A Field is a header field of a request.
type Field struct{ Name, Value string }

// A Request is one request. Method, Target and the fields are written unchanged, so
// anything that comes from a client must be escaped.
type Request struct {
	Method, Target string
	HTTP10         bool // HTTP/1.0, which has no kept connections
	Fields         []Field
	Body           *Body // nil: none
}

// Do sends a request without an object and returns the answer.
func (c *Client) Do(ctx context.Context, q *Request) (r *Response, err error) {
	err = c.conns.Do(ctx, func(conn *engineconn.Conn) (err error) {
		if r, err = c.exchange(conn, q); err == nil {
			err = r.checkTrailing()
		}
		return err
	})
	return r, err
}

// Scan sends a request with an object, calls judge with the answer, and returns what was
// found and what failed. Only a detection counts if anything follows the answer.
func (c *Client) Scan(ctx context.Context, q *Request, judge func(r *Response, a *backends.Answer)) (backends.Result, error) {
	return c.conns.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error {
		r, err := c.exchange(conn, q)
		if err != nil {
			return err
		}
		judge(r, a)
		if found := a.Category(); found == backends.Virus || found == backends.Suspicious {
			conn.NoReuse() // the rest cannot make it clean
			return nil
		}
		return r.checkTrailing()
	})
}

// checkTrailing returns an error if anything follows the answer.
func (r *Response) checkTrailing() error {
	if len(r.more) > 0 {
		return fmt.Errorf("more than one answer: %q", r.more)
	}
	return nil
}

// Close closes idle connections. Requests in progress finish, and each later one uses a
// new connection.
func (c *Client) Close() error { return c.conns.Close() }

func (c *Client) exchange(conn *engineconn.Conn, q *Request) (*Response, error) {
	err := conn.Send(func(w io.Writer) error {
		if _, err := io.WriteString(w, c.head(q)); err != nil || q.Body == nil {
			return err
		}
		_, err := q.Body.WriteTo(w)
		return err
	})
	if err != nil {
		return nil, err
	}
	r, err := receive(conn, q.Method, c.MaxBody)
	if err == nil && (q.HTTP10 || r.last || !r.Measured) {
		conn.NoReuse()
	}
	return r, err
}

func (c *Client) head(q *Request) string {
	var b strings.Builder
	field := func(name, value string) { b.WriteString(name + ": " + value + "\r\n") }
	version := " HTTP/1.1\r\n"
	if q.HTTP10 {
		version = " HTTP/1.0\r\n"
	}
	b.WriteString(q.Method + " " + q.Target + version)
	field("Host", c.Host)
	if !c.conns.Keep || q.HTTP10 {
		field("Connection", "close")
	}
	for _, f := range q.Fields {
		field(f.Name, f.Value)
	}
	for _, f := range c.Fields {
		field(f.Name, f.Value)
	}
	if q.Body != nil || q.Method != http.MethodGet {
		n := int64(0)
		if q.Body != nil {
			n = q.Body.Len()
		}
		field("Content-Length", strconv.FormatInt(n, 10))
	}
	b.WriteString("\r\n")
	return b.String()
}

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

// Client speaks HTTP/1.x with one engine. [Options.Client] makes it. It is safe for
// concurrent use.
type Client struct {
	Host    string  // the field Host
	Fields  []Field // of every request
	MaxBody int64   // of an answer

	conns engineconn.Client
}

// The bounds on kept connections. Servers end them when they like, Node's after 5 s.
const (
	idleLimit = 20 * time.Second
	mostIdle  = 64
)

// rest is how long a kept connection stays unused: an answer in HTTP has no id, and
// one that is repeated within this time is noticed.
const rest = 100 * time.Millisecond

// Field is a field of a request's head.
type Field struct{ Name, Value string }

// Request is one request. Method, Target and the fields are written as they are: what
// comes from a client must be escaped.
type Request struct {
	Method, Target string
	HTTP10         bool // HTTP/1.0, which has no kept connections
	Fields         []Field
	Body           *Body // nil: none
}

// Do sends a request that is not a scan and returns the answer.
func (c *Client) Do(ctx context.Context, q *Request) (r *Response, err error) {
	err = c.conns.Do(ctx, func(conn *engineconn.Conn) (err error) {
		if r, err = c.exchange(conn, q); err == nil {
			err = r.alone()
		}
		return err
	})
	return r, err
}

// Scan sends a request with an object, lets judge read the answer, and returns what
// was found and what failed. Only an answer that is known to be complete is believed
// that nothing bad was found.
func (c *Client) Scan(ctx context.Context, q *Request, judge func(r *Response, a *backends.Answer)) (backends.Result, error) {
	return c.conns.Scan(ctx, func(conn *engineconn.Conn, a *backends.Answer) error {
		r, err := c.exchange(conn, q)
		if err != nil {
			return err
		}
		judge(r, a)
		if found := a.Category(); found == backends.Virus || found == backends.Suspicious {
			conn.Spoil() // whatever follows, it is not clean
			return nil
		}
		return r.alone()
	})
}

// alone is an error if something follows the answer.
func (r *Response) alone() error {
	if len(r.more) > 0 {
		return fmt.Errorf("more than one answer: %q", r.more)
	}
	return nil
}

// Close ends the kept connections. Requests under way finish, and later ones get a
// connection each.
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
		conn.Spoil()
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

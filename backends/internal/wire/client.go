package wire

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/idle"
)

// Client speaks HTTP/1.x with one engine. Its exported fields are set before its
// first use. It follows no redirects, knows no proxies, asks for no compression. It
// is safe for concurrent use.
type Client struct {
	Dialer  Dialer
	Host    string // the field Host
	Fields  []Field
	Keep    bool // connections are kept for further requests
	MaxBody int64

	pool idle.Pool[*conn]
}

// The bounds on kept connections. Servers end them when they like, Node's after 5 s.
const (
	maxIdle  = 20 * time.Second
	mostIdle = 64
)

func newPool() idle.Pool[*conn] {
	return idle.Pool[*conn]{Limit: maxIdle, Most: mostIdle, Alive: (*conn).quiet, End: (*conn).close}
}

// Field is a field of a request's head.
type Field struct{ Name, Value string }

// Request is one request. Method, Target and the fields are written as they are:
// nothing of a client of ours may be in them.
type Request struct {
	Method, Target string
	HTTP10         bool // HTTP/1.0, on a connection of its own
	Fields         []Field
	Body           *Body // nil: none
}

// Response is one complete answer.
type Response struct {
	Status   int
	Location string
	Body     []byte
	// Early: the engine answered before it had been sent the whole request.
	Early bool
	// Measured: the length of the body was told, so that it is known to be all of
	// it. Otherwise it ends where the connection was closed.
	Measured bool
}

// Do sends a request and reads the answer. A kept connection that turns out to be
// dead before the first byte of it is replaced by a new one, once.
func (c *Client) Do(ctx context.Context, q *Request) (*Response, error) {
	if ctx.Err() != nil {
		return nil, Ended(ctx, context.Cause(ctx))
	}
	if !q.HTTP10 {
		if conn, ok := c.pool.Take(); ok {
			r, err := c.on(ctx, conn, q)
			if !errors.Is(err, backends.ErrNoReply) || ctx.Err() != nil {
				return r, Ended(ctx, err)
			}
		}
	}
	nc, err := c.Dialer.Dial(ctx)
	if err != nil {
		return nil, Ended(ctx, err)
	}
	r, err := c.on(ctx, newConn(nc), q)
	return r, Ended(ctx, err)
}

// Close ends the kept connections. Requests under way finish, and later ones have a
// connection each.
func (c *Client) Close() error {
	c.pool.Close((*conn).close)
	return nil
}

// on makes one exchange on conn, which it keeps or closes.
func (c *Client) on(ctx context.Context, conn *conn, q *Request) (*Response, error) {
	stop := context.AfterFunc(ctx, conn.close)
	conn.begin(c.MaxBody)
	var r *Response
	early, err := Converse(conn.nc, func(w io.Writer) error { return c.send(w, q) }, func() (err error) {
		r, err = conn.receive(q.Method, c.MaxBody)
		return err
	})
	stopped := stop()
	if err != nil {
		conn.close()
		return nil, err
	}
	r.Early = early
	keep := c.Keep && !q.HTTP10 && stopped && !early && r.Measured && !conn.ending
	if !keep || !c.pool.Put(conn) {
		conn.close()
	}
	return r, nil
}

// send writes the request.
func (c *Client) send(w io.Writer, q *Request) error {
	head := c.head(q)
	if q.Body == nil {
		_, err := io.WriteString(w, head)
		return err
	}
	// A small request is one write.
	b := bufio.NewWriterSize(w, int(min(int64(len(head))+q.Body.Len(), 64<<10)))
	b.WriteString(head)
	if _, err := q.Body.WriteTo(b); err != nil {
		return err
	}
	return b.Flush()
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
	if !c.Keep || q.HTTP10 {
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

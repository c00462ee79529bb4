package engineconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/idle"
)

// Client talks to one node of an engine. Its exported fields are set before its first
// use. It is safe for concurrent use.
type Client struct {
	Engine  string // for errors: the name of the backend
	Address string // for errors: as configured
	Dialer  Dialer

	// Hello is the dialogue on a new connection before the first request: greeting
	// and settings. It has to end within the dialer's timeout. May be nil.
	Hello func(*Conn) error
	// Bye is sent before a connection in order is closed. May be empty.
	Bye string

	// Keep keeps connections open for further requests, IdleLimit long at most (0:
	// 25 s) and no more than Most of them (0: as many as were in use together).
	// Connections serve one request by default: an answer without an id looks like a
	// late answer to an earlier request.
	Keep      bool
	IdleLimit time.Duration
	Most      int
	// Rest is how long a kept connection stays unused before it is used again, for
	// answers without an id: one that the engine repeats shortly afterwards is then
	// noticed, and the connection is dropped.
	Rest time.Duration

	pool idle.Pool[*Conn]
}

// idleLimit is below the 30 s after which impatient daemons end a silent connection.
const idleLimit = 25 * time.Second

// New returns the client of the node at address ("unix:/path", "tcp:host:port"), not
// yet open. The error says everything that is wrong with the keys address and
// connect_timeout; example is an address that would be right.
func New(engine, example, address string, connectTimeout time.Duration) (*Client, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = fmt.Errorf("%s needs one, for example %q", engine, example)
	}
	if err != nil {
		err = &backends.KeyError{Key: "address", Err: err}
	}
	if connectTimeout <= 0 {
		err = errors.Join(err, backends.KeyErrorf("connect_timeout", "must be positive, for example \"5s\""))
	}
	if err != nil {
		return nil, err
	}
	return &Client{Engine: engine, Address: address, Dialer: Dialer{Network: network, Address: addr, Timeout: connectTimeout}}, nil
}

// Open makes the client ready. Call it once, after the fields are set.
func (c *Client) Open() {
	if c.IdleLimit <= 0 {
		c.IdleLimit = idleLimit
	}
	c.pool = idle.Pool[*Conn]{Off: !c.Keep, Limit: c.IdleLimit, Most: c.Most, Rest: c.Rest, Alive: (*Conn).isSilent, End: func(conn *Conn) { conn.goodbye(c.Bye) }}
}

// Idle is how many connections are kept.
func (c *Client) Idle() int { return c.pool.Len() }

// Close ends the kept connections. Dialogues under way finish; later ones get
// connections of their own.
func (c *Client) Close() error {
	c.pool.Close(func(conn *Conn) { conn.goodbye(c.Bye) })
	return nil
}

// Scan runs the dialogue of a scan, which collects what the engine says in the
// answer, and returns all of it: what was found, and beside it every failure, the
// end of the dialogue included. What an engine says before it has received the whole
// object is treated as early, see [backends.Answer.Early].
func (c *Client) Scan(ctx context.Context, talk func(*Conn, *backends.Answer) error) (backends.Result, error) {
	var answer backends.Answer
	err := c.do(ctx, func(conn *Conn) error {
		answer = backends.Answer{}
		err := talk(conn, &answer)
		if err == nil && !conn.early && answer.Category() == backends.OK && conn.hasMore() {
			// Also on a connection that is given up: what follows may be a finding.
			err = fmt.Errorf("more than one answer: %.100q", conn.Pending())
		}
		if conn.early {
			answer.Early()
		}
		return err
	})
	answer.Fail(err)
	r, err := answer.Result()
	return r, c.named(err)
}

// ScanPath is Scan for an engine that reads the object's file itself, see
// [file.PlainPath]. Where connections are kept, the path identifies the answer, see
// [Conn.Ask].
func (c *Client) ScanPath(ctx context.Context, o backends.Object, talk func(conn *Conn, a *backends.Answer, path string) error) (backends.Result, error) {
	path, err := file.PlainPath(o)
	if err != nil {
		return backends.Result{}, c.named(err)
	}
	return c.Scan(ctx, func(conn *Conn, a *backends.Answer) error {
		if err := conn.Ask(path); err != nil {
			return err
		}
		return talk(conn, a, path)
	})
}

// Do runs a dialogue. It runs a second time, on a new connection, if a kept one was
// dead or had a stray answer waiting.
func (c *Client) Do(ctx context.Context, talk func(*Conn) error) error {
	return c.named(c.do(ctx, talk))
}

func (c *Client) do(ctx context.Context, talk func(*Conn) error) error {
	if ctx.Err() != nil {
		return endOf(ctx)
	}
	if conn, ok := c.pool.Take(); ok {
		conn.reused = true
		err := c.talk(ctx, conn, talk)
		if !errors.Is(err, backends.ErrNoReply) && !errors.Is(err, errStray) || ctx.Err() != nil {
			return err
		}
	}
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	return c.talk(ctx, conn, talk)
}

// DoOnce is Do on a new connection that is not kept, with another Hello.
func (c *Client) DoOnce(ctx context.Context, hello, talk func(*Conn) error) error {
	once := &Client{Engine: c.Engine, Address: c.Address, Dialer: c.Dialer, Hello: hello, Bye: c.Bye}
	once.Open()
	return once.Do(ctx, talk)
}

// dial makes a connection that is ready for a request.
func (c *Client) dial(ctx context.Context) (*Conn, error) {
	nc, s, err := c.Dialer.dial(ctx)
	if err != nil {
		return nil, err
	}
	conn := newConn(nc, s)
	if c.Hello == nil {
		return conn, nil
	}
	within, cancel := context.WithTimeoutCause(ctx, c.Dialer.Timeout, c.Dialer.late("no greeting", nil))
	defer cancel()
	stop := context.AfterFunc(within, func() { conn.Close() })
	err = c.Hello(conn)
	if !stop() {
		err = ended(within, conn, err)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// talk runs a dialogue on conn, which it keeps or closes.
func (c *Client) talk(ctx context.Context, conn *Conn, talk func(*Conn) error) error {
	conn.begin("waiting for the answer")
	conn.early = false
	conn.begun = time.Now()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := talk(conn)
	if err == nil && !conn.spoiled && conn.r.Buffered() > 0 {
		err = fmt.Errorf("more than one answer: %.100q", conn.Pending())
	}
	stopped := !stop()
	if stopped && err != nil {
		err = ended(ctx, conn, err)
	}
	switch {
	case stopped || err != nil || conn.spoiled:
		conn.Close()
	case !c.pool.Put(conn):
		conn.goodbye(c.Bye)
	}
	return err
}

// ended is the error of a dialogue that a context ended: its cause, and what was
// going on. An engine's own words, and the object's error, stay what they are.
func ended(ctx context.Context, conn *Conn, err error) error {
	var failure *backends.Failure
	var object *backends.ObjectError
	if errors.As(err, &failure) || errors.As(err, &object) {
		return err
	}
	return fmt.Errorf("%s: %w", conn.doing, endOf(ctx))
}

// endOf is the error of a context that is done.
func endOf(ctx context.Context) error {
	cause, done := context.Cause(ctx), ctx.Err()
	switch {
	case cause == context.Canceled:
		return &ending{"cancelled", []error{done}}
	case cause == context.DeadlineExceeded:
		return &ending{"no answer in time", []error{done}}
	case errors.Is(cause, done), errors.As(cause, new(*backends.ConnError)):
		return cause
	}
	return &ending{cause.Error(), []error{done, cause}}
}

// ending is the end of a connection or a context in words that are not Go's.
type ending struct {
	text   string
	causes []error
}

func (e *ending) Error() string   { return e.text }
func (e *ending) Unwrap() []error { return e.causes }

// named says which engine and node an error is about.
func (c *Client) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", c.Engine, c.Address, err)
}

package engineconn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/idle"
	"polyclam/backends/internal/tracing"
)

// A Client talks to one node of an engine. Set its exported fields before Open. It is
// safe for concurrent use.
type Client struct {
	Engine  string // for errors: the backend name
	Address string // for errors: as configured
	Dialer  Dialer

	// Hello is the dialogue on a new connection before the first request: greeting and
	// settings. It must end within the dialer's timeout. It may be nil.
	Hello func(*Conn) error
	// Bye is sent before a usable connection is closed. It may be empty.
	Bye string

	// Keep keeps up to MaxIdle connections open for further requests (0: as many as
	// there were concurrent scans), each for up to IdleLimit (0: 25 s). Without Keep a
	// connection serves one request, because an answer without an id could be a late
	// one to an earlier request.
	Keep      bool
	IdleLimit time.Duration
	MaxIdle   int
	// Cooldown is how long a kept connection rests before it is reused. If the engine
	// repeats an answer without an id within this time, the connection is closed.
	Cooldown time.Duration

	pool idle.Pool[*Conn]
}

// idleLimit is less than the 30 s after which some daemons close a silent connection.
const idleLimit = 25 * time.Second

// New returns a client for the node at address ("unix:/path", "tcp:host:port"), not yet
// open. The error lists everything that is wrong with the keys address and
// connect_timeout; it may quote example, a correct address.
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

// Open prepares the client for use. Call it once, after the fields are set.
func (c *Client) Open() {
	if c.IdleLimit <= 0 {
		c.IdleLimit = idleLimit
	}
	c.pool = idle.Pool[*Conn]{Disabled: !c.Keep, IdleLimit: c.IdleLimit, MaxIdle: c.MaxIdle, Cooldown: c.Cooldown, Alive: (*Conn).isSilent, Discard: func(conn *Conn) { conn.goodbye(c.Bye) }}
}

// Idle returns the number of idle connections.
func (c *Client) Idle() int { return c.pool.Len() }

// Close closes idle connections. Dialogues in progress finish. Each later one uses a new
// connection.
func (c *Client) Close() error {
	c.pool.Close(func(conn *Conn) { conn.goodbye(c.Bye) })
	return nil
}

// Scan runs a dialogue that scans an object and collects the engine's answer. It returns
// what was found and every failure, including the dialogue's own error. An answer that
// began before the whole object was sent is early, see [backends.Answer.Early].
func (c *Client) Scan(ctx context.Context, talk func(*Conn, *backends.Answer) error) (backends.Result, error) {
	var answer backends.Answer
	err := c.do(ctx, func(conn *Conn) error {
		answer = backends.Answer{}
		err := talk(conn, &answer)
		if err == nil && !conn.early && answer.Category() == backends.OK && conn.hasMore() {
			// This applies to unkept connections too: the rest may be a finding.
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
// [file.PlainPath]. On a kept connection the path identifies the answer, see [Conn.SetSubject].
func (c *Client) ScanPath(ctx context.Context, o backends.Object, talk func(conn *Conn, a *backends.Answer, path string) error) (backends.Result, error) {
	path, err := file.PlainPath(o)
	if err != nil {
		return backends.Result{}, c.named(err)
	}
	return c.Scan(ctx, func(conn *Conn, a *backends.Answer) error {
		if err := conn.SetSubject(path); err != nil {
			return err
		}
		return talk(conn, a, path)
	})
}

// Do runs a dialogue. If a kept connection is dead or has a stray answer, the dialogue
// runs again on a new connection. If there is none, the first error counts: the engine may
// have died of the object.
func (c *Client) Do(ctx context.Context, talk func(*Conn) error) error {
	return c.named(c.do(ctx, talk))
}

func (c *Client) do(ctx context.Context, talk func(*Conn) error) error {
	if ctx.Err() != nil {
		return ended.Context(ctx)
	}
	var before error // of a kept connection
	if conn, ok := c.pool.Take(ctx); ok {
		conn.reused = true
		conn.trace = tracing.New(ctx)
		conn.trace.Step(backends.TraceReused, "", nil)
		before = c.talk(ctx, conn, talk)
		if !errors.Is(before, backends.ErrNoReply) && !errors.Is(before, errStray) || ctx.Err() != nil {
			return before
		}
	}
	conn, err := c.dial(ctx)
	switch {
	case err != nil && errors.Is(before, backends.ErrNoReply):
		return before
	case err != nil:
		return err
	}
	err = c.talk(ctx, conn, talk)
	if errors.Is(before, backends.ErrNoReply) && errors.Is(err, backends.ErrNoReply) {
		return backends.Twice(err)
	}
	return err
}

// DoOnce is Do with another Hello, on a new connection that is not kept.
func (c *Client) DoOnce(ctx context.Context, hello, talk func(*Conn) error) error {
	once := &Client{Engine: c.Engine, Address: c.Address, Dialer: c.Dialer, Hello: hello, Bye: c.Bye}
	once.Open()
	return once.Do(ctx, talk)
}

// dial returns a new connection that is ready for a request.
func (c *Client) dial(ctx context.Context) (*Conn, error) {
	trace := tracing.New(ctx)
	nc, s, err := c.Dialer.dial(ctx)
	trace.Connected(err)
	if err != nil {
		return nil, err
	}
	conn := newConn(nc, s)
	conn.trace = trace
	if c.Hello == nil {
		return conn, nil
	}
	within, cancel := context.WithTimeoutCause(ctx, c.Dialer.Timeout, c.Dialer.timeoutError("no greeting within"))
	defer cancel()
	stop := context.AfterFunc(within, func() { conn.Close() })
	err = c.Hello(conn)
	if !stop() {
		err = contextFailure(within, conn, err)
	}
	if err != nil {
		conn.Close()
		trace.Step(backends.TraceClosed, "", err)
		return nil, err
	}
	return conn, nil
}

// talk runs a dialogue on conn, and then keeps or closes conn.
func (c *Client) talk(ctx context.Context, conn *Conn, talk func(*Conn) error) error {
	conn.begin("waiting for the answer")
	conn.early = false
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err := talk(conn)
	if err == nil && !conn.noReuse && conn.r.Buffered() > 0 {
		err = fmt.Errorf("more than one answer: %.100q", conn.Pending())
	}
	stopped := !stop()
	if stopped && err != nil {
		err = contextFailure(ctx, conn, err)
	}
	c.keep(conn, err, stopped)
	return err
}

// keep keeps conn for further dialogues or closes it.
func (c *Client) keep(conn *Conn, err error, stopped bool) {
	trace := conn.trace
	trace.Received()
	conn.trace = nil
	switch {
	case stopped || err != nil || conn.noReuse:
		conn.Close()
	case c.pool.Put(conn):
		trace.Step(backends.TraceKept, "", nil)
		return
	default:
		conn.goodbye(c.Bye)
	}
	trace.Step(backends.TraceClosed, "", err)
}

// contextFailure returns the error of a dialogue that a context ended: the current step
// and the cause. It returns an engine's own failure and an [backends.ObjectError]
// unchanged.
func contextFailure(ctx context.Context, conn *Conn, err error) error {
	var failure *backends.Failure
	var object *backends.ObjectError
	if errors.As(err, &failure) || errors.As(err, &object) {
		return err
	}
	return fmt.Errorf("%s: %w", conn.step, ended.Context(ctx))
}

// named adds the engine and the node to an error.
func (c *Client) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", c.Engine, c.Address, err)
}

// Package line carries the dialogues of engines that speak in lines: making and
// keeping connections, bounded reading, and what the lines of one answer amount
// to together.
//
// What a line means is the business of the engine's own package. A dialogue is a
// function on a [Conn]; [Client.Scan] runs it on a kept connection or a new one,
// ends it with its context, and closes the connection after anything irregular:
//
//   - A connection is used by one dialogue at a time.
//   - It is kept only after a dialogue that ended as it should, with nothing
//     behind it.
//   - A kept connection that turns out to be dead before the first byte of an
//     answer is replaced by a new one, once.
//   - Bytes behind an answer are an error: two answers are none.
//   - A virus that was named in a complete line stands, whatever comes behind it.
//     Nothing else survives an answer that breaks off.
package line

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/idle"
	"polyclam/backends/internal/wire"
)

// Client talks to one engine. The exported fields are set before its first use. It
// is safe for concurrent use.
type Client struct {
	// Hello is the dialogue on a new connection before the first request: greeting
	// and settings. May be nil.
	Hello func(*Conn) error
	// Bye is sent to an engine before a connection in order is closed. May be empty.
	Bye string

	engine  string // for errors
	address string
	dialer  wire.Dialer
	pool    idle.Pool[*Conn]
}

// New returns the client of the engine at address ("unix:/path", "tcp:host:port").
// The error says everything that is wrong with the two keys; example is an address
// that would be right.
func New(engine, example, address string, connectTimeout time.Duration) (*Client, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = fmt.Errorf("address: %s needs one, as in %q", engine, example)
	}
	if connectTimeout <= 0 {
		err = errors.Join(err, fmt.Errorf(`connect_timeout %q: want more than nothing, as in "5s"`, connectTimeout))
	}
	if err != nil {
		return nil, err
	}
	return &Client{engine: engine, address: address, dialer: wire.Dialer{Network: network, Address: addr, Timeout: connectTimeout}, pool: newPool()}, nil
}

// maxIdle is how long a connection is kept idle. The daemons' own limits are not
// known; 30 s is where impatient ones end a silent connection.
const maxIdle = 25 * time.Second

func newPool() idle.Pool[*Conn] {
	return idle.Pool[*Conn]{Off: true, Limit: maxIdle, Alive: (*Conn).quiet, End: (*Conn).close}
}

// Keep sets whether connections are kept for further requests. Set it before the
// first use.
func (c *Client) Keep(keep bool) { c.pool.Off = !keep }

// Do runs a dialogue. It is run a second time, on a new connection, if a kept one
// was dead.
func (c *Client) Do(ctx context.Context, talk func(*Conn) error) error {
	if ctx.Err() != nil {
		return c.wrap(ctx, context.Cause(ctx))
	}
	if conn, ok := c.pool.Take(); ok {
		conn.reused = true
		err := c.talk(ctx, conn, talk)
		if !errors.Is(err, backends.ErrNoReply) || ctx.Err() != nil {
			return c.wrap(ctx, err)
		}
	}
	nc, err := c.dialer.Dial(ctx)
	if err != nil {
		return c.wrap(ctx, err)
	}
	return c.wrap(ctx, c.talk(ctx, newConn(nc), func(conn *Conn) error {
		if c.Hello != nil {
			if err := c.Hello(conn); err != nil {
				return err
			}
		}
		return talk(conn)
	}))
}

// Scan runs the dialogue of a scan and says what its lines amount to.
func (c *Client) Scan(ctx context.Context, talk func(*Conn, *Tally) error) (backends.Result, error) {
	var t Tally
	err := c.Do(ctx, func(conn *Conn) error {
		t = Tally{}
		return talk(conn, &t)
	})
	r, failure := t.result(err)
	if failure != nil && err == nil {
		failure = c.wrap(ctx, failure)
	}
	return r, failure
}

// Close ends the kept connections. Dialogues under way finish; later ones get
// connections of their own.
func (c *Client) Close() error {
	c.pool.Close(func(conn *Conn) { conn.bye(c.Bye) })
	return nil
}

// errMore is what stands behind an answer.
var errMore = errors.New("more than one answer")

// talk runs a dialogue on conn, which it keeps or closes.
func (c *Client) talk(ctx context.Context, conn *Conn, talk func(*Conn) error) error {
	stop := context.AfterFunc(ctx, conn.close)
	err := talk(conn)
	if err == nil && !conn.spoiled && conn.r.Buffered() > 0 {
		err = fmt.Errorf("%w: %.100q", errMore, conn.Pending())
	}
	switch {
	case !stop() || err != nil || conn.spoiled:
		conn.close()
	case !c.pool.Put(conn):
		conn.bye(c.Bye)
	}
	return err
}

// wrap names the engine, and says that a context is done where that is why.
func (c *Client) wrap(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if done := ctx.Err(); done != nil && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("%s %s: %w", c.engine, c.address, err)
}

// Unkept returns another client of the same engine, with another Hello, that keeps
// no connections. It needs no Close.
func (c *Client) Unkept(hello func(*Conn) error) *Client {
	return &Client{Hello: hello, Bye: c.Bye, engine: c.engine, address: c.address, dialer: c.dialer, pool: newPool()}
}

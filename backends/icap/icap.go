// Package icap scans with whatever speaks ICAP, RFC 3507: c-icap, squidclamav, ESET,
// Kaspersky, Symantec, Trellix and Skyhigh, Trend, Sophos, F-Secure, OPSWAT, Dr.Web.
//
// The dialogue, over a connection that is kept for the next scan:
//
//	-> OPTIONS icap://host/service ICAP/1.0            at first, and after Options-TTL
//	<- ICAP/1.0 200 OK, Methods, Preview, ISTag, ...
//	-> RESPMOD icap://host/service ICAP/1.0, Allow: 204, Encapsulated: req-hdr=0, res-hdr=.., res-body=..
//	-> headers of HTTP, then the content in chunks     read and written at the same time
//	<- ICAP/1.0 204 Unmodified                         clean
//	<- ICAP/1.0 200 OK, X-Infection-Found: ..., and a page instead of the content
//
// The answers; the tables in answers.go are what the code does:
//
//	204                                            ok
//	X-Infection-Found and other header fields,
//	of ICAP or HTTP                                by name and type: virus if unknown
//	200 with HTTP 4xx, or 3xx                      virus, "blocked-by-icap"
//	200 with HTTP 5xx                              swerr
//	200 with the content itself                    partial (echo_is), ok if a field says clean
//	200 with another content                       suspicious, "modified-by-icap": a page or
//	                                               a content that somebody has changed
//	200 with the beginning of the content          swerr
//	408                                            interrupted
//	401, 407, 503                                  cannot-execute
//	413                                            partial
//	404, 500, 539, every other status              swerr
//	(closed without an answer)                     cannot-execute
//
// Header fields count before the status, the stronger before the weaker, and a virus
// counts even if the answer then breaks off. What is called clean without having been
// scanned, and what is done about it:
//
//   - c-icap 0.5.10 sends contents over virus_scan.MaxObjectSize back as they are:
//     this is partial, whatever echo_is says if it begins before the content is sent.
//   - a 204 before the whole content was sent is partial, as is one to a preview that
//     is not the whole content: the server decided by type or size. A server that
//     ignores what has come to its socket already cannot be told from one that reads it.
//   - a content whose type a server does not look at gets the same 204 as a clean one.
//     This is what the scan of a test file at start and from time to time is for.
package icap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/idle"
)

// Abilities is what a scanner over ICAP can tell.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true, Names: true, Version: true,
	Source: "c-icap 0.5.10 with virus_scan tried; other products from RFC 3507 and other clients (rspamd, fuglu)",
	Tested: "real engine (c-icap with clamd); composed bytes for other products",
}

// Backend is one service of one ICAP server. It keeps as many connections as scans
// were under way at once, until they have been idle for a while. Safe for concurrent
// use.
type Backend struct {
	address string // as configured
	host    string // host and port
	uri     string
	fields  string // of every request
	config  Config
	dialer  dialer
	pool    idle.Pool[*conn]
	buffers sync.Pool // of *[bufferSize]byte
	now     func() time.Time

	mu      sync.Mutex
	options options
	known   bool      // there are options
	expires time.Time // when to ask for them again
}

var _ backends.Versioner = (*Backend)(nil)

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, b.wrap(ctx, ctx.Err())
	}
	o, err := b.current(ctx)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	q, err := b.newRequest(o, c)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	var r backends.Result
	err = b.on(ctx, func(c *conn) (keep bool, err error) {
		r, keep, err = b.scanOn(c, q)
		return keep, err
	})
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	return r, nil
}

// Version implements [backends.Versioner] by asking for OPTIONS. The database is the
// ISTag, which changes with the signatures.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	o, err := b.askOptions(ctx)
	if err != nil {
		return backends.Version{}, b.wrap(ctx, err)
	}
	return backends.Version{Text: o.service, Engine: o.service, Database: o.istag}, nil
}

// Close implements io.Closer: it ends the kept connections. Scans under way finish,
// and later ones use connections of their own.
func (b *Backend) Close() error {
	b.pool.Close(endConn)
	return nil
}

// on lets f use a kept connection or a new one. A kept one that turns out to be dead
// before the first byte of an answer is replaced by a new one, once: the content can
// be read again.
func (b *Backend) on(ctx context.Context, f func(c *conn) (keep bool, err error)) error {
	if c, ok := b.pool.Take(); ok {
		err := b.use(ctx, c, f)
		if !diedIdle(err) || ctx.Err() != nil {
			return err
		}
	}
	c, err := b.dialer.dial(ctx)
	if err != nil {
		return err
	}
	return b.use(ctx, c, f)
}

// use lets f use a connection until ctx is done, and keeps it if it is in order.
func (b *Backend) use(ctx context.Context, c *conn, f func(c *conn) (keep bool, err error)) error {
	c.got = 0
	stop := context.AfterFunc(ctx, func() { c.Close() })
	keep, err := f(c)
	if !stop() || !keep || c.br.Buffered() > 0 {
		c.Close()
		return err
	}
	c.reused = true
	if !b.pool.Put(c) {
		c.Close()
	}
	return err
}

// diedIdle reports whether err, on a kept connection, is what it looks like that the
// server gave up while it was idle.
func diedIdle(err error) bool {
	var f *backends.Failure
	return errors.Is(err, backends.ErrNoReply) || errors.As(err, &f) && f.Code == 408
}

// wrap names the engine and gives a context that is done its own error beside the
// cause, which may be anything.
func (b *Backend) wrap(ctx context.Context, err error) error {
	if done := ctx.Err(); done != nil && errors.Is(err, context.Cause(ctx)) && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("icap %s: %w", b.address, err)
}

// maxIdle is how long a connection is kept idle. c-icap's KeepAliveTimeout is 60 s
// and more, but 30 s is where many silent connections end.
const maxIdle = 25 * time.Second

func newPool(keep bool) idle.Pool[*conn] {
	return idle.Pool[*conn]{Off: !keep, Limit: maxIdle, Alive: (*conn).quiet, End: endConn}
}

func endConn(c *conn) { c.Close() }

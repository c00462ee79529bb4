package engineconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
)

// Dialer makes connections to one node.
type Dialer struct {
	Network, Address string
	Timeout          time.Duration // for a connection, TLS included; key connect_timeout
	TLS              *tls.Config   // nil: none
}

// Dial connects within the timeout. A connect timeout or a failed TLS handshake is a
// [backends.ConnError]; if ctx itself ended, its cause is returned. A busy Unix
// socket with a full backlog fails a non-blocking connect(2) with EAGAIN where a
// blocking one waits; Dial waits too.
func (d Dialer) Dial(ctx context.Context) (net.Conn, error) {
	nc, s, err := d.dial(ctx)
	if err == nil && nc == net.Conn(s) {
		return s.Conn, nil // for callers that pass descriptors
	}
	return nc, err
}

// dial returns the connection and the socket below it, which is the same without
// TLS.
func (d Dialer) dial(ctx context.Context) (net.Conn, *socket, error) {
	within, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	var busy error
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		nc, err := new(net.Dialer).DialContext(within, d.Network, d.Address)
		if err == nil {
			return d.secure(ctx, within, newSocket(nc))
		}
		switch {
		case errors.Is(err, syscall.EAGAIN):
			busy = err
		case busy != nil && within.Err() != nil: // at the last try
			return nil, nil, d.failed(ctx, within, busy)
		default:
			return nil, nil, d.failed(ctx, within, err)
		}
		select {
		case <-within.Done():
			return nil, nil, d.failed(ctx, within, err)
		case <-time.After(wait):
		}
	}
}

// secure does the TLS handshake, if there is to be one.
func (d Dialer) secure(ctx, within context.Context, s *socket) (net.Conn, *socket, error) {
	if d.TLS == nil {
		return s, s, nil
	}
	tc := tls.Client(s, d.TLS)
	err := tc.HandshakeContext(within)
	if err == nil {
		return secured{tc}, s, nil
	}
	s.Close()
	switch {
	case isOver(ctx):
		return nil, nil, d.cut(ctx)
	case within.Err() != nil:
		err = d.late("no TLS handshake", nil)
	default:
		err = &backends.ConnError{Text: "TLS handshake", Err: err}
	}
	return nil, nil, err
}

// secured is a TLS connection that closes without a close_notify alert: a peer that
// no longer reads would hold it up.
type secured struct{ *tls.Conn }

func (s secured) Close() error { return s.NetConn().Close() }

// failed says why there is no connection.
func (d Dialer) failed(ctx, within context.Context, err error) error {
	var netErr net.Error
	switch {
	case isOver(ctx):
		return d.cut(ctx)
	case errors.Is(err, syscall.EAGAIN):
		return d.late("no connection, its backlog was full,", nil)
	case within.Err() != nil, errors.As(err, &netErr) && netErr.Timeout():
		return d.late("no connection", nil)
	}
	c := backends.CategoryOf(err)
	if !backends.Unreachable(err) {
		c = backends.CannotExecute
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err // without the address, which the client's error has already
	}
	return &backends.ConnError{Category: c, Text: "connecting", Err: err}
}

// isOver reports whether ctx is done. Package net notices the end of a deadline by
// itself, and that may be a moment before ctx does.
func isOver(ctx context.Context) bool {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

func (d Dialer) late(what string, err error) error {
	return &backends.ConnError{Text: what + " within " + d.Timeout.String() + " (key connect_timeout)", Err: err}
}

// cut is the error of a dial that ctx ended. An engine that cannot be connected to
// within the time of a whole scan is unreachable, whichever key set that time.
func (d Dialer) cut(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &backends.ConnError{Text: "no connection", Err: endOf(ctx)}
	}
	return endOf(ctx)
}

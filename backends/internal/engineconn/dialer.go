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

// A Dialer connects to one node.
type Dialer struct {
	Network, Address string
	Timeout          time.Duration // for a connection, including TLS; key connect_timeout
	TLS              *tls.Config   // nil: none
}

// Dial connects within the timeout. A connect timeout or a failed TLS handshake is a
// [backends.ConnError]. If ctx itself ended, its cause is returned. If the backlog of a
// Unix socket is full, a non-blocking connect(2) fails with EAGAIN where a blocking one
// would wait, so Dial tries again.
func (d Dialer) Dial(ctx context.Context) (net.Conn, error) {
	nc, s, err := d.dial(ctx)
	if err == nil && nc == net.Conn(s) {
		return s.Conn, nil // for callers that pass descriptors
	}
	return nc, err
}

// dial returns the connection and the socket below it. Without TLS they are the same.
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
			return nil, nil, d.dialError(ctx, within, busy)
		default:
			return nil, nil, d.dialError(ctx, within, err)
		}
		select {
		case <-within.Done():
			return nil, nil, d.dialError(ctx, within, err)
		case <-time.After(wait):
		}
	}
}

// secure does the TLS handshake if TLS is configured.
func (d Dialer) secure(ctx, within context.Context, s *socket) (net.Conn, *socket, error) {
	if d.TLS == nil {
		return s, s, nil
	}
	tc := tls.Client(s, d.TLS)
	err := tc.HandshakeContext(within)
	if err == nil {
		return tlsConn{tc}, s, nil
	}
	s.Close()
	switch {
	case hasEnded(ctx):
		return nil, nil, d.contextError(ctx)
	case within.Err() != nil:
		err = d.timeoutError("no TLS handshake within")
	default:
		err = &backends.ConnError{Text: "TLS handshake", Err: tlsReason(err)}
	}
	return nil, nil, err
}

// tlsConn closes without a close_notify alert, which would block if the peer no longer
// reads.
type tlsConn struct{ *tls.Conn }

func (s tlsConn) Close() error { return s.NetConn().Close() }

// hasEnded reports whether ctx is done. Package net has its own timer for a deadline,
// which may fire a moment before ctx is done.
func hasEnded(ctx context.Context) bool {
	if end, ok := ctx.Deadline(); ok && !time.Now().Before(end) {
		<-ctx.Done()
	}
	return ctx.Err() != nil
}

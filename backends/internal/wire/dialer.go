package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
)

// Dialer makes connections to one engine.
type Dialer struct {
	Network, Address string
	Timeout          time.Duration // for a connection, TLS included
	TLS              *tls.Config   // nil: none
}

// Dial connects within the timeout. That an engine cannot be connected to in time,
// or that there is no trust in it, is CannotExecute; the context's own end remains
// what it is. Where the queue of a busy socket is full and a blocking connect(2)
// waits, a non-blocking one on a Unix socket fails with EAGAIN, and is tried again.
func (d Dialer) Dial(ctx context.Context) (net.Conn, error) {
	within, cancel := context.WithTimeout(ctx, d.Timeout)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		nc, err := new(net.Dialer).DialContext(within, d.Network, d.Address)
		if err == nil {
			return d.secure(ctx, within, nc)
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, d.timedOut(ctx, within, err)
		}
		select {
		case <-within.Done():
			return nil, d.timedOut(ctx, within, err)
		case <-time.After(wait):
		}
	}
}

// secure does the handshake of TLS, if that is wanted.
func (d Dialer) secure(ctx, within context.Context, nc net.Conn) (net.Conn, error) {
	if d.TLS == nil {
		return nc, nil
	}
	tc := tls.Client(nc, d.TLS)
	err := tc.HandshakeContext(within)
	if err == nil {
		return secured{tc}, nil
	}
	nc.Close()
	if ctx.Err() != nil {
		return nil, err
	}
	return nil, &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: "tls: " + err.Error()}
}

// secured is a TLS connection that closes without a word: a peer that reads no
// more would hold up the farewell.
type secured struct{ *tls.Conn }

func (s secured) Close() error { return s.NetConn().Close() }

func (d Dialer) timedOut(ctx, within context.Context, err error) error {
	var netErr net.Error
	if ctx.Err() == nil && (within.Err() != nil || errors.As(err, &netErr) && netErr.Timeout()) {
		return &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: "no connection within " + d.Timeout.String() + ": " + err.Error()}
	}
	return err
}

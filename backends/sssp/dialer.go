package sssp

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"

	"polyclam/backends"
)

// dialer makes connections.
type dialer struct {
	network, address string
	timeout          time.Duration
}

// dial connects within the timeout. Where the queue of a busy socket is full and a
// blocking connect(2) waits, a non-blocking one on a Unix socket fails with EAGAIN,
// and is tried again.
func (d dialer) dial(ctx context.Context) (net.Conn, error) {
	within, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		nc, err := new(net.Dialer).DialContext(within, d.network, d.address)
		if err == nil {
			return nc, nil
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

// timedOut makes an unreachable engine of our own limit; the scan's own end remains
// what it is.
func (d dialer) timedOut(ctx, within context.Context, err error) error {
	var netErr net.Error
	if ctx.Err() == nil && (within.Err() != nil || errors.As(err, &netErr) && netErr.Timeout()) {
		return &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: "no connection within " + d.timeout.String() + ": " + err.Error()}
	}
	return err
}

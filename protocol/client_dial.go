package protocol

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// backlogPause is the time between two attempts to connect to a full backlog.
const backlogPause = 20 * time.Millisecond

// dial connects. It waits while the backlog of a Unix socket is full: the kernel refuses
// such connections with EAGAIN where a blocking connect(2) would wait.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	for {
		nc, err := d.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EAGAIN) {
			return nc, err
		}
		select {
		case <-time.After(backlogPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

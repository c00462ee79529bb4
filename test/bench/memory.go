package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"polyclam/test/child"
	"time"
)

const (
	idleClients    = 5000
	stalledClients = 2000
	warmScans      = 500
)

// memory prints the cost of waiting clients. The engine is the null clamd, which
// accepts any number of connections from HAProxy.
func memory(ctx context.Context, w *world, out io.Writer) error {
	fmt.Fprintf(out, "\nMemory (RSS) of the proxy with waiting clients, each time in a fresh process, after %d scans of 10 KB:\n\n%-10s %10s %10s | %7s %10s %12s\n",
		warmScans, "", "clients", "", "before", "with them", "bytes each")
	for _, name := range w.fronts() {
		for _, c := range []struct {
			what string
			n    int
			send []byte
		}{{"idle", idleClients, nil}, {"stalled", stalledClients, stalledRequest()}} {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			before, after, err := w.memoryOf(name, c.n, c.send)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			fmt.Fprintf(out, "%-10s %10d %-10s | %4d KB %7d KB %12d\n", name, c.n, c.what, before>>10, after>>10, (after-before)/int64(c.n))
		}
	}
	fmt.Fprintln(out, "idle: connected, no command. stalled: in the middle of an INSTREAM, one byte of content sent.\n"+
		"HAProxy holds a connection to the engine for each of them, polyclam for none.")
	return nil
}

// memoryOf measures a fresh process, because another would reuse memory that earlier
// work has left.
func (w *world) memoryOf(name string, n int, send []byte) (before, after int64, err error) {
	y, err := w.inFront(w.null, name, fmt.Sprintf("-%d", n))
	if err != nil {
		return 0, 0, err
	}
	defer w.stop(y.daemon)
	c, r := newClient(y.socket, hang), newRequest(bodyRandom, 10<<10, 1)
	for range warmScans {
		if _, err := c.scan(r.renew()); err != nil {
			return 0, 0, err
		}
	}
	if before, err = y.daemon.resident(); err != nil {
		return 0, 0, err
	}
	after, err = with(y, n, send)
	return before, after, err
}

// stalledRequest is the beginning of an INSTREAM: the length of a chunk, and its first
// byte.
func stalledRequest() []byte {
	b := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), 64<<10)
	return append(b, 'x')
}

// with is the memory of the daemon while n clients have sent p and wait.
func with(y way, n int, p []byte) (int64, error) {
	crowd, err := gather(y.socket, n, p)
	defer crowd.leave()
	if err != nil {
		return 0, err
	}
	if len(crowd) < n {
		return 0, fmt.Errorf("%d of %d clients got a connection", len(crowd), n)
	}
	if err := settle(y.daemon, n); err != nil {
		return 0, err
	}
	return y.daemon.resident()
}

// settle waits until the daemon has accepted n clients and read what they sent: its
// descriptors, a few of which are sessions with the engine, no longer increase.
func settle(d *daemon, n int) error {
	end := time.Now().Add(hang)
	for last := -1; ; {
		time.Sleep(200 * time.Millisecond)
		now, err := child.Descriptors(d.pid)
		if err != nil {
			return err
		}
		if now >= n && now == last {
			return nil
		}
		if err := d.alive(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d descriptors with %d clients", now, n)
		}
		last = now
	}
}

// A crowd is connections that do nothing.
type crowd []*client

// gather connects n clients that send p and then nothing more. It stops early when it
// cannot connect, for example because the backlog of an engine is full.
func gather(socket string, n int, p []byte) (crowd, error) {
	var all crowd
	for range n {
		c := newClient(socket, time.Second)
		err := c.connect()
		if err == nil {
			err = c.send(p)
		}
		if err != nil {
			c.close()
			if isRefused(err) {
				return all, nil
			}
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func (all crowd) leave() {
	for _, c := range all {
		c.close()
	}
}

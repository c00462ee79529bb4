package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

const (
	idleClients    = 5000
	stalledClients = 500
)

// memory prints what waiting clients cost. The engine behind is the null clamd,
// which bears any number of connections from HAProxy.
func memory(ctx context.Context, w *world, out io.Writer) error {
	fmt.Fprintf(out, "\nMemory (RSS) of what is in front, for clients that wait; bytes a client:\n\n%-10s %10s | %6s %10s %8s | %6s %10s %8s\n",
		"", "before", "idle", "RSS", "each", "stalled", "RSS", "each")
	for _, y := range w.null.ways[haproxy:] {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := memoryOf(y, out); err != nil {
			return fmt.Errorf("%s: %w", y.name, err)
		}
	}
	fmt.Fprintln(out, "idle: connected, no command. stalled: in the middle of an INSTREAM, one byte of content sent.\n"+
		"HAProxy holds a connection to the engine for each of them, polyclam for none.")
	return nil
}

func memoryOf(y way, out io.Writer) error {
	// As large as work has made it; what comes on top is the clients'.
	team := newTeam(bodyRandom, 10<<10, 4)
	if _, err := team.run(context.Background(), &engine{ways: []way{y}, daemon: y.daemon}, 0, 200*time.Millisecond); err != nil {
		return err
	}
	before, err := y.daemon.resident()
	if err != nil {
		return err
	}
	idle, err := with(y, idleClients, nil)
	if err != nil {
		return err
	}
	between, err := y.daemon.resident()
	if err != nil {
		return err
	}
	stalled, err := with(y, stalledClients, stalledRequest())
	if err != nil {
		return err
	}
	each := func(after, before int64, n int) string { return fmt.Sprint(max(0, after-before) / int64(n)) }
	fmt.Fprintf(out, "%-10s %7d KB | %6d %7d KB %8s | %6d %7d KB %8s\n", y.name, before>>10,
		idleClients, idle>>10, each(idle, before, idleClients), stalledClients, stalled>>10, each(stalled, between, stalledClients))
	return nil
}

// stalledRequest is the beginning of an INSTREAM: a chunk that is announced, and
// its first byte.
func stalledRequest() []byte {
	b := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), 64<<10)
	return append(b, 'x')
}

// with is the memory of the daemon while n clients have sent p and wait.
func with(y way, n int, p []byte) (int64, error) {
	others := y.daemon.descriptors()
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
	bytes, err := y.daemon.resident()
	crowd.leave()
	for end := time.Now().Add(hang); y.daemon.descriptors() > others+n/10 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	return bytes, err
}

// settle waits until the daemon has accepted n clients and read what they sent:
// its descriptors, of which sessions with the engine are a few, become no more.
func settle(d *daemon, n int) error {
	end := time.Now().Add(hang)
	for last := -1; ; {
		time.Sleep(200 * time.Millisecond)
		now := d.descriptors()
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

// gather connects n clients that send p and then nothing more. It ends early where
// a connection cannot be made, as when the backlog of an engine is full.
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

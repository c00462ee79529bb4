package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"polyclam/test/child"
)

const (
	waitingClients = 5000
	quickClients   = 1000
	memoryRounds   = 3
	warmUpScans    = 500
)

// waits are the states of clients that wait.
var waits = []struct {
	name string
	send []byte
	goal float64 // KB per client
}{
	{"idle, no command", nil, 3.5},
	{"in a session, after IDSESSION", []byte("zIDSESSION\x00"), 4.5},
	{"in a stream, after 1 KB", streamBegin(kb), 6},
}

// memoryGoal measures N7: the memory of the program in front with waiting clients. The
// engine is the null clamd, which accepts any number of connections from HAProxy.
func memoryGoal(ctx context.Context, w *world, out io.Writer) ([]cell, error) {
	n, rounds := waitingClients, memoryRounds
	if w.options.quick {
		n, rounds = quickClients, 1
	}
	var cells []cell
	for i, wait := range waits {
		c := cell{goal: "N7", what: fmt.Sprintf("KB per client, %d clients, %s", n, wait.name), limit: wait.goal}
		for range rounds {
			for _, name := range w.fronts() {
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				before, after, err := w.memoryOf(front{program: name, name: fmt.Sprintf("%s-memory%d", name, i)}, n, wait.send)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				each := float64(after-before) / float64(n) / kb
				switch name {
				case "haproxy":
					c.haproxy = append(c.haproxy, each)
				case "polyclam":
					c.values = append(c.values, each)
					c.measured = fmt.Sprintf("%d to %d MB", before>>20, after>>20)
				default:
					c.base = append(c.base, each)
				}
			}
		}
		cells = append(cells, c)
	}
	return cells, nil
}

// memoryOf measures a fresh process, because another would reuse memory that earlier
// work has left.
func (w *world) memoryOf(f front, n int, send []byte) (before, after int64, err error) {
	e, err := w.null()
	if err != nil {
		return 0, 0, err
	}
	f.engines = []string{e.ways[direct].socket}
	y, err := w.inFront(f)
	if err != nil {
		return 0, 0, err
	}
	defer os.Remove(y.socket)
	defer w.stop(y.daemon)
	c, r := newClient(y.socket, hang), newRequest(bodyRandom, 10<<10, 1)
	for range warmUpScans {
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

// streamBegin is the beginning of an INSTREAM: the length of a chunk, and its first n bytes.
func streamBegin(n int) []byte {
	b := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), 64<<10)
	return append(b, bytes.Repeat([]byte("x"), n)...)
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
// cannot connect or is closed, for example because the backlog of an engine is full.
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
			if isNoAnswer(err) {
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

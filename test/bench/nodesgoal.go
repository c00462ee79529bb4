package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	fastNode = 5 * time.Millisecond
	slowNode = 50 * time.Millisecond
	nodeWait = time.Second // slices are at least this long: p99 needs many scans
)

// nodesGoal measures N6: four nodes, one of them ten times slower, against three fast ones.
// HAProxy has the four nodes too.
func nodesGoal(ctx context.Context, w *world, out io.Writer) ([]cell, error) {
	var sockets []string
	var first *daemon
	for i, delay := range []time.Duration{fastNode, fastNode, fastNode, slowNode} {
		name := fmt.Sprintf("node%d", i+1)
		d, err := w.launchNull(name, delay)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = d
		}
		sockets = append(sockets, w.socket(name))
	}
	e := &engine{name: "nodes", daemon: first}
	const fast, balancer, four, base = 0, 1, 2, 3
	ways := []front{
		{program: "polyclam", name: "nodes-fast", engines: sockets[:3]},
		{program: "haproxy", name: "nodes-haproxy", engines: sockets},
		{program: "polyclam", name: "nodes-four", engines: sockets},
	}
	if w.options.baseline != "" {
		ways = append(ways, front{program: "baseline", name: "nodes-base", engines: sockets})
	}
	for _, f := range ways {
		y, err := w.inFront(f)
		if err != nil {
			return nil, err
		}
		y.name = f.name
		e.ways = append(e.ways, y)
	}
	var cells []cell
	for _, l := range []load{{clients: 8}, {clients: 24}, {clients: 48, rate: 500}} {
		l.body, l.size, l.slice = bodyRandom, 10*kb, max(w.options.slice, nodeWait)
		if w.options.quick {
			l.slice = w.options.slice
		}
		r, err := w.measure(ctx, e, l)
		if err != nil {
			return nil, err
		}
		c := cell{
			goal: "N6", what: "p99 to three fast nodes, " + l.String(), limit: 1.3,
			measured: duration(intervalOf(r.ways[four].p99).median) + " to " + duration(intervalOf(r.ways[fast].p99).median),
			values:   r.over(ofP99, four, fast), haproxy: r.over(ofP99, balancer, fast),
		}
		if len(r.ways) > base {
			c.base = r.over(ofP99, base, fast)
		}
		cells = append(cells, c)
	}
	return cells, nil
}

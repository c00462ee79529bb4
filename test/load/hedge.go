package main

import (
	"context"
	"time"
)

var hedgeParts = []part{
	{"hedge/slow", "Two nodes, one ten times slower (20 ms, 200 ms); scans at a fixed rate, with hedging and without.",
		func(ctx context.Context, t *trial) error {
			return t.hedge(ctx, &engine{latency: 20 * time.Millisecond}, &engine{latency: 200 * time.Millisecond})
		}},
	{"hedge/stalls", "Two nodes of 20 ms, each of which takes 2 s for every 200th scan.",
		func(ctx context.Context, t *trial) error {
			return t.hedge(ctx, stalling(), stalling())
		}},
}

func stalling() *engine {
	return &engine{latency: 20 * time.Millisecond, stall: 2 * time.Second, stallEvery: 200}
}

// hedge measures scans on two nodes, with and without hedging.
func (t *trial) hedge(ctx context.Context, nodes ...*engine) error {
	var sockets []string
	for i, e := range nodes {
		s, err := t.engineHere("engine"+string(rune('1'+i)), e)
		if err != nil {
			return err
		}
		sockets = append(sockets, s)
	}
	known := false
	for _, hedge := range []string{"true", "false"} {
		d, err := t.prepare(settings{name: "hedge-" + hedge, engines: []engineConfig{{"clamav", sockets, "hedge = " + hedge + "\n"}}})
		if err != nil {
			return err
		}
		if !d.accepts() {
			continue
		}
		known = true
		if err := t.hedged(ctx, d, "hedge = "+hedge, nodes); err != nil {
			return err
		}
	}
	if known {
		return nil
	}
	d, err := t.prepare(settings{engines: []engineConfig{{"clamav", sockets, ""}}})
	if err != nil {
		return err
	}
	return t.hedged(ctx, d, "polyclamd does not know the key hedge", nodes)
}

// hedged measures one configuration.
func (t *trial) hedged(ctx context.Context, d *daemon, name string, nodes []*engine) error {
	const rate = 100 // a second
	if err := d.start(ctx); err != nil {
		return err
	}
	before := scansOf(nodes)
	l := newLoad(ctx, d.unix())
	within(ctx, t.length(40*time.Second, 5*time.Second), func(ctx context.Context) { l.rate(ctx, rate) })
	all := l.wait()
	after := scansOf(nodes)
	t.row(name, "%s; %s", all.breakdown(), quantiles(all.times(answered)))
	t.row(name+": scans of the nodes", "%d and %d, for %d of clients", after[0]-before[0], after[1]-before[1], len(all))
	if counters := d.counters(ctx, "hedge"); counters != "" {
		t.row(name+": XSTATUS", "%s", counters)
	}
	d.Stop(10 * time.Second)
	return nil
}

func scansOf(nodes []*engine) (n []uint64) {
	for _, e := range nodes {
		n = append(n, e.scans.Load())
	}
	return n
}

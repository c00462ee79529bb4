package main

import (
	"context"
	"fmt"
	"time"
)

var slowParts = []part{
	slowPart("command", "a command byte by byte"),
	slowPart("length", "the lengths of chunks byte by byte"),
	slowPart("data", "the data of a chunk byte by byte"),
	slowPart("session", "sessions with a PING every five seconds"),
	slowPart("unread", "sessions that ask and read no replies"),
	slowPart("fildes", "FILDES without the descriptor"),
	slowPart("leased", "FILDES of files that take 45 s to open"),
}

func slowPart(kind, what string) part {
	return part{"slow/" + kind, "Many idle clients, and many that send or hand over slowly (" + what + "), of one user; scans of another user.",
		func(ctx context.Context, t *trial) error { return t.slowly(ctx, kind) }}
}

// slowly measures the scans of an honest client, first alone and then beside a crowd.
func (t *trial) slowly(ctx context.Context, kind string) error {
	socket, err := t.engineHere("engine", &engine{latency: 5 * time.Millisecond})
	if err != nil {
		return err
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{name: "clamav", nodes: []string{socket}}}})
	if err != nil {
		return err
	}
	if lowered := d.logged("connections lowered"); len(lowered) > 0 {
		t.row("limit of connections", "%s", lowered[0])
	}
	alone := t.probe(ctx, d)
	t.row("alone", "%s", describe(alone))
	t.row("polyclamd alone", "%v", d.usage())

	peaks := d.watch(ctx)
	idle, err := t.crowd(d, crowdSpec{kind: "idle", count: t.idle, every: dripPause})
	if err != nil {
		return err
	}
	slow, err := t.crowd(d, crowdSpec{kind: kind, count: t.slow, every: dripPause})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		*crowd
		n int
	}{{idle, t.idle}, {slow, t.slow}} {
		if err := c.gather(ctx, c.n); err != nil {
			return err
		}
	}
	beside := t.probe(ctx, d)
	t.row("beside them", "%s", describe(beside))
	t.row("idle clients", "%v", *idle.counts.Load())
	t.row("slow clients", "%v", *slow.counts.Load())
	t.row("polyclamd at most", "%v", peaks())
	t.row("polyclamd", "%s", d.state())
	if formula := d.check(); formula != "" {
		t.note("polyclamd --check:\n\n```\n%s\n```", formula)
	}
	idle.leave()
	slow.leave()
	after := t.probe(ctx, d)
	t.row("after they left", "%s", describe(after))
	t.row("polyclamd after they left", "%v", d.usage())
	return nil
}

// dripPause is the pause of slow clients between two bytes.
const dripPause = 5 * time.Second

// probe makes scans at a fixed rate.
func (t *trial) probe(ctx context.Context, d *daemon) outcomes {
	l := newLoad(ctx, d.unix())
	l.patience = 15 * time.Second
	within(ctx, time.Duration(t.probes)*t.every, func(ctx context.Context) { l.rate(ctx, 1/t.every.Seconds()) })
	return l.wait()
}

// describe says how scans ended and how long they took.
func describe(all outcomes) string {
	return fmt.Sprintf("%s; %s", all.breakdown(), quantiles(all.times(answered)))
}

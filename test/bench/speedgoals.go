package main

import (
	"context"
	"fmt"
	"io"
)

// A point is a load, and what is wanted of it.
type point struct {
	load
	wants []want
}

// A want is a limit for a ratio.
type want struct {
	what  string // "p50"
	of    quantity
	by    int // the way that the ratio is to
	limit float64
	least bool
}

func p50Of(by int, limit float64) want { return want{"p50", ofP50, by, limit, false} }

func points(body string, size int64, clients int, wants ...want) point {
	return point{load{body: body, size: size, clients: clients}, wants}
}

const kb, mb = 1 << 10, 1 << 20

// The points of the goals N1 to N4.
var (
	initPoints = []point{
		points(bodyMail, kb, 1, p50Of(direct, 0.66)), points(bodyMail, kb, 16, p50Of(direct, 0.66)),
		points(bodyMail, 10*kb, 1, p50Of(direct, 0.78)), points(bodyMail, 10*kb, 16, p50Of(direct, 0.78)),
		points(bodyMail, 100*kb, 1, p50Of(direct, 0.90)), points(bodyMail, 100*kb, 16, p50Of(direct, 0.90)),
		points(bodyMail, mb, 1, p50Of(direct, 0.97)), points(bodyRandom, 10*mb, 1, p50Of(direct, 0.88)),
	}
	clamdPoints = []point{
		points(bodyMail, kb, 1, p50Of(direct, 1.15), p50Of(haproxy, 1)),
		points(bodyMail, 10*kb, 1, p50Of(direct, 1.07), p50Of(haproxy, 1)),
		points(bodyMail, 100*kb, 1, p50Of(direct, 0.99), p50Of(haproxy, 1)),
		points(bodyRandom, mb, 4, p50Of(direct, 0.88), p50Of(haproxy, 1)),
		points(bodyRandom, 10*mb, 1, p50Of(direct, 0.87), p50Of(haproxy, 1)),
	}
	smallPoints = []point{
		points(bodyMail, kb, 1, p50Of(haproxy, 1), cpuOf(1.4)), points(bodyMail, kb, 16, rateOf(haproxy, 0.90), cpuOf(1.4)),
		points(bodyMail, 10*kb, 1, p50Of(haproxy, 1), cpuOf(1.4)), points(bodyMail, 10*kb, 16, rateOf(haproxy, 0.90), cpuOf(1.4)),
	}
	largePoints = []point{
		points(bodyMail, 100*kb, 16, rateOf(haproxy, 1)),
		points(bodyMail, mb, 16, rateOf(haproxy, 1.6), p50Of(haproxy, 0.65)),
		points(bodyMail, 10*mb, 1, p50Of(haproxy, 0.55)),
	}
)

func rateOf(by int, limit float64) want { return want{"scans/s", ofRate, by, limit, true} }

func cpuOf(limit float64) want { return want{"CPU per scan", ofProxy, haproxy, limit, false} }

// speedGoal measures a goal that compares the ways to an engine.
func speedGoal(goal string, start func(*world) (*engine, error), points []point) func(context.Context, *world, io.Writer) ([]cell, error) {
	return func(ctx context.Context, w *world, out io.Writer) ([]cell, error) {
		e, err := start(w)
		if err != nil {
			return nil, err
		}
		var cells []cell
		for _, p := range points {
			r, err := w.measure(ctx, e, p.load)
			if err != nil {
				return nil, err
			}
			for _, x := range p.wants {
				cells = append(cells, r.cell(goal, x))
			}
		}
		return cells, nil
	}
}

// cell judges a row by a want.
func (r *row) cell(goal string, x want) cell {
	to := "direct"
	if x.by == haproxy {
		to = "HAProxy"
	}
	c := cell{
		goal: goal, what: x.what + " to " + to + ", " + r.load.String(), limit: x.limit, least: x.least,
		measured: absolute(x, &r.ways[polyclam]) + " to " + absolute(x, &r.ways[x.by]),
		values:   r.over(x.of, polyclam, x.by),
	}
	if x.by != haproxy {
		c.haproxy = r.over(x.of, haproxy, x.by)
	}
	if len(r.ways) > baseline {
		c.base = r.over(x.of, baseline, x.by)
	}
	return c
}

// absolute is the median of what a want is about.
func absolute(x want, m *measured) string {
	v := intervalOf(x.of(m)).median
	if x.least {
		return count(v) + "/s"
	}
	return duration(v)
}

// String names a load: "10 KB, 16 clients".
func (l load) String() string {
	s := fmt.Sprintf("%s, %d client", sizeName(l.size), l.clients)
	if l.clients > 1 {
		s += "s"
	}
	if l.rate > 0 {
		s = fmt.Sprintf("%s, %.0f scans/s", sizeName(l.size), l.rate)
	}
	return s
}

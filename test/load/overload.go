package main

import (
	"context"
	"fmt"
	"polyclam/test/child"
	"slices"
	"time"
)

var overloadParts = []part{
	{"overload/equal", "Twice the capacity, by ten clients (127.0.0.2 to 127.0.0.11) that ask equally often.",
		func(ctx context.Context, t *trial) error { return t.overload(ctx, 1) }},
	{"overload/greedy", "Twice the capacity; one of ten clients asks ten times as often as each other.",
		func(ctx context.Context, t *trial) error { return t.overload(ctx, 10) }},
}

// The overload engine scans overloadSlots objects concurrently, each in overloadTime:
// 80 per second.
const (
	overloadSlots   = 4
	overloadTime    = 50 * time.Millisecond
	overloadClients = 10
)

// overload measures ten clients. The first sends greed times as many requests as each
// of the others.
func (t *trial) overload(ctx context.Context, greed float64) error {
	socket, err := t.engineHere("engine", &engine{latency: overloadTime, threads: make(chan struct{}, overloadSlots)})
	if err != nil {
		return err
	}
	port, err := child.Port()
	if err != nil {
		return err
	}
	d, err := t.polyclamdWith(ctx, settings{tcp: "127.0.0.1:" + port,
		engines: []engineConfig{{"clamav", []string{socket}, fmt.Sprintf("max_scans = %d\n", overloadSlots)}}})
	if err != nil {
		return err
	}
	peak := t.peak(ctx, d)
	t.row("peak", "%.1f scans/s by %d clients that wait for their answers", peak, 2*overloadSlots)

	demand := 2 * peak / (overloadClients - 1 + greed) // of every other client
	loads := d.loads(ctx, overloadClients)
	began := time.Now()
	within(ctx, t.duration, func(ctx context.Context) {
		for i, l := range loads {
			l.patience = t.patience
			rate := demand
			if i == 0 {
				rate *= greed
			}
			l.rate(ctx, rate)
		}
	})
	end := time.Now()
	t.row("demand", "%.1f scans/s for %v; clients hang up after %v", 2*peak, round(end.Sub(began)), t.patience)
	t.fairness(loads, began, end, peak)
	t.row("polyclamd afterwards", "%v, %s", d.usage(), d.state())
	return nil
}

// fairness waits for the clients and prints what each got.
func (t *trial) fairness(loads []*load, began, end time.Time, peak float64) {
	var all outcomes
	var good []float64
	var shares []string
	var waits []time.Duration
	for _, l := range loads {
		mine := l.wait()
		n := 0
		for _, o := range mine {
			if o.result == ok && o.end().Before(end) {
				n++
			}
		}
		times := mine.times(answered)
		if len(times) > 0 {
			waits = append(waits, times[len(times)-1])
		}
		good = append(good, float64(n)/end.Sub(began).Seconds())
		shares = append(shares, fmt.Sprintf("%.1f of %.1f", good[len(good)-1], float64(len(mine))/end.Sub(began).Seconds()))
		all = append(all, mine...)
	}
	sum := 0.0
	for _, g := range good {
		sum += g
	}
	t.row("goodput", "%.1f scans/s, %.0f %% of the peak", sum, 100*sum/peak)
	t.row("scans", "%s", all.breakdown())
	t.row("each client's OK/s of its demand", "%v", shares)
	least := slices.Min(good)
	if least > 0 {
		t.row("fairness (max/min)", "%.2f", slices.Max(good)/least)
	} else {
		t.row("fairness (max/min)", "a client got nothing")
	}
	if len(waits) > 0 {
		t.row("longest wait for an OK", "%v (by client: %s)", round(slices.Max(waits)), join(waits))
	}
	t.row("answers", "%s", quantiles(all.times(answered)))
	t.row("errors", "%s", quantiles(all.times(func(o outcome) bool { return o.result == refused })))
}

// peak is the rate of scans with just enough clients to keep all slots busy.
func (t *trial) peak(ctx context.Context, d *daemon) float64 {
	length := t.length(10*time.Second, 2*time.Second)
	loads := d.loads(ctx, 2*overloadSlots)
	within(ctx, length, func(ctx context.Context) {
		for _, l := range loads {
			l.clients(ctx, 1)
		}
	})
	n := 0
	for _, l := range loads {
		n += l.wait().count(ok)
	}
	return float64(n) / length.Seconds()
}

// loads returns n loads with different client addresses.
func (d *daemon) loads(ctx context.Context, n int) (all []*load) {
	for i := range n {
		all = append(all, newLoad(ctx, d.from(fmt.Sprintf("127.0.0.%d", i+2))))
	}
	return all
}

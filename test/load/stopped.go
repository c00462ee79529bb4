package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

var stoppedParts = []part{
	{"stopped/one-of-two", "One node of two is stopped (SIGSTOP) under load and continued later.", stoppedOneOfTwo},
	{"stopped/only", "The only node of a required engine is stopped; one client scans again and again.", stoppedOnly},
	{"stopped/arriving", "The only node of a required engine is stopped; scans come one after the other, whatever happens to those before.", stoppedArriving},
	{"stopped/killed", "One node of two is killed (SIGKILL) under load and started again later.", stoppedKilled},
	{"stopped/none", "Both nodes are killed under load and started again after half a second, several times.", stoppedNone},
	{"stopped/checks", "How often a node that is down is checked, and one that is up, with canary_interval = \"3s\".", stoppedChecks},
	{"stopped/hup", "SIGHUP, again and again, 0.1 to 1.1 s apart, under load with an engine that takes 300 ms.", stoppedHUP},
	{"stopped/optional", "An engine that is not required hangs.", stoppedOptional},
}

// twoNodes starts a polyclamd with two nodes of 20 ms.
func (t *trial) twoNodes(ctx context.Context) (*daemon, []*engineProcess, error) {
	nodes, sockets, err := t.engines(ctx, 2, &engine{latency: 20 * time.Millisecond})
	if err != nil {
		return nil, nil, err
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{"clamav", sockets, fmt.Sprintf("timeout = %q\n", t.timeout)}}})
	if err != nil {
		return nil, nil, err
	}
	// Both have passed a health check and have connections.
	warm := newLoad(ctx, d.unix())
	within(ctx, time.Second, func(ctx context.Context) { warm.clients(ctx, t.clients) })
	if all := warm.wait(); all.lost() > 0 {
		return nil, nil, fmt.Errorf("before anything happens: %s", all.breakdown())
	}
	return d, nodes, nil
}

// within calls f with a context that is done after d, and waits for that.
func within(ctx context.Context, d time.Duration, f func(ctx context.Context)) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	f(ctx)
	<-ctx.Done()
}

func stoppedOneOfTwo(ctx context.Context, t *trial) error {
	return t.underLoad(ctx, func(node *engineProcess) { node.Signal(syscall.SIGSTOP) }, func(node *engineProcess) error {
		node.Signal(syscall.SIGCONT)
		return nil
	})
}

func stoppedKilled(ctx context.Context, t *trial) error {
	return t.underLoad(ctx, func(node *engineProcess) { node.Kill() }, func(node *engineProcess) error { return node.start(ctx) })
}

// underLoad breaks a node and repairs it under load.
func (t *trial) underLoad(ctx context.Context, breakIt func(*engineProcess), repair func(*engineProcess) error) error {
	d, nodes, err := t.twoNodes(ctx)
	if err != nil {
		return err
	}
	before := t.length(4*time.Second, time.Second)
	var broken, repaired time.Time
	l := newLoad(ctx, d.unix())
	within(ctx, before+t.down+t.timeout+before, func(ctx context.Context) {
		l.clients(ctx, t.clients)
		if pause(ctx, before) != nil {
			return
		}
		broken = time.Now()
		breakIt(nodes[0])
		if pause(ctx, t.down) != nil {
			return
		}
		repaired = time.Now()
		err = repair(nodes[0])
	})
	if err != nil {
		return err
	}
	all := l.wait()
	t.row("clients; down for; timeout of the engine", "%d; %v; %v", t.clients, t.down, t.timeout)
	t.row("scans lost", "%d of %d (%.2f %%)", all.lost(), len(all), 100*float64(all.lost())/float64(len(all)))
	t.row("scans", "%s", all.breakdown())
	t.row("slowest scan", "%v", round(all.slowest()))
	t.row("answers", "%s", quantiles(all.times(answered)))
	t.row("scans a second before, and while it was down", "%.0f, %.0f", float64(len(all.between(time.Time{}, broken)))/before.Seconds(),
		float64(len(all.between(broken, repaired)))/t.down.Seconds())
	if lost := all.lastLost(); !lost.IsZero() {
		t.row("last scan lost begun after", "%v", round(lost.Sub(broken)))
	}
	return nil
}

// between returns the scans that started in an interval.
func (all outcomes) between(from, to time.Time) (some outcomes) {
	for _, o := range all {
		if !o.begin.Before(from) && o.begin.Before(to) {
			some = append(some, o)
		}
	}
	return some
}

// lastLost is the start of the last lost scan, or zero.
func (all outcomes) lastLost() (last time.Time) {
	for _, o := range all {
		if o.result != ok {
			last = o.begin
		}
	}
	return last
}

// oneNode starts a polyclamd with one node of 20 ms.
func (t *trial) oneNode(ctx context.Context) (*daemon, *engineProcess, error) {
	node, err := t.engineChild(ctx, "engine", &engine{latency: 20 * time.Millisecond})
	if err != nil {
		return nil, nil, err
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{"clamav", []string{node.socket}, fmt.Sprintf("timeout = %q\n", t.timeout)}}})
	return d, node, err
}

func stoppedOnly(ctx context.Context, t *trial) error {
	d, node, err := t.oneNode(ctx)
	if err != nil {
		return err
	}
	node.Signal(syscall.SIGSTOP)
	l := newLoad(ctx, d.unix())
	var took []time.Duration
	end := time.Now().Add(5 * t.timeout)
	for i := 0; (i < 3 || time.Now().Before(end)) && i < 1000 && ctx.Err() == nil; i++ {
		took = append(took, l.one().took)
		if i > 20 {
			pause(ctx, 50*time.Millisecond)
		}
	}
	all := l.wait()
	t.row("timeout of the engine", "%v", t.timeout)
	t.row("first answers after", "%s", join(took[:min(len(took), 6)]))
	t.row("answers", "%s", all.breakdown())
	t.row("slowest after the second", "%v", round(all[min(2, len(all)-1):].slowest()))
	node.Signal(syscall.SIGCONT)
	t.recovery(ctx, d, 20, 35*time.Second)
	return nil
}

func stoppedArriving(ctx context.Context, t *trial) error {
	d, node, err := t.oneNode(ctx)
	if err != nil {
		return err
	}
	node.Signal(syscall.SIGSTOP)
	const scans = 10
	l := newLoad(ctx, d.unix())
	between := t.timeout / 4
	within(ctx, scans*between, func(ctx context.Context) { l.rate(ctx, 1/between.Seconds()) })
	var took []time.Duration
	all := l.wait()
	for _, o := range all {
		took = append(took, o.took)
	}
	t.row("timeout of the engine; between two scans", "%v; %v", t.timeout, between)
	t.row("answers", "%s", all.breakdown())
	t.row("after", "%s", join(took))
	node.Signal(syscall.SIGCONT)
	t.recovery(ctx, d, 20, 35*time.Second)
	return nil
}

// recovery measures, with some scans per second, how long it takes from now until every
// scan is OK again. It waits for a whole second of OK, up to a limit.
func (t *trial) recovery(ctx context.Context, d *daemon, perSecond float64, limit time.Duration) {
	from := time.Now()
	l := newLoad(ctx, d.unix())
	ctx, cancel := context.WithTimeout(ctx, limit)
	l.rate(ctx, perSecond)
	for pause(ctx, 100*time.Millisecond) == nil {
		if time.Since(from) > 2*time.Second && l.history.settled(time.Second) {
			break
		}
	}
	cancel()
	all := l.wait()
	t.row("scans while it recovers", "%s", all.breakdown())
	last := all.lastLost()
	switch {
	case last.IsZero():
		t.row("recovered after", "0 s; no scan was lost; slowest %v", round(all.slowest()))
	case all[len(all)-1].result != ok:
		t.row("recovered after", "not within %v", limit)
	default:
		t.row("recovered after", "%v", round(last.Sub(from)))
	}
}

// settled reports whether there were scans in the last while, all answered with OK.
func (h *history) settled(while time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	since, n := time.Now().Add(-while), 0
	for _, o := range h.all {
		if o.end().Before(since) {
			continue
		}
		if n++; o.result != ok {
			return false
		}
	}
	return n > 0
}

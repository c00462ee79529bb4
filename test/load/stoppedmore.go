package main

import (
	"context"
	"fmt"
	"syscall"
	"time"
)

// stoppedNone leaves polyclamd without a node several times. How long the outage lasts
// depends largely on chance.
func stoppedNone(ctx context.Context, t *trial) error {
	d, nodes, err := t.twoNodes(ctx)
	if err != nil {
		return err
	}
	l := newLoad(ctx, d.unix())
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	l.clients(loading, t.clients)
	var away, lost, up []time.Duration
	never := 0
	for range t.number(4, 2) {
		pause(ctx, time.Second)
		killed := time.Now()
		for _, n := range nodes {
			n.Kill()
		}
		pause(ctx, 500*time.Millisecond)
		for _, n := range nodes {
			if err := n.start(ctx); err != nil {
				return err
			}
		}
		back := time.Now()
		if !t.allUp(ctx, d, len(nodes)) {
			never++
		}
		away, up = append(away, back.Sub(killed)), append(up, time.Since(back))
		lost = append(lost, max(0, l.history.outcomes().lastLost().Sub(back)))
	}
	cancel()
	t.row("nodes away for", "%s", join(away))
	t.row("scans", "%s", l.wait().breakdown())
	t.row("last scan lost begun after the nodes came back", "%s", join(lost))
	t.row("both nodes up again after", "%s; not at all %d times", join(up), never)
	return nil
}

// allUp waits until polyclamd reports n nodes up, up to a limit.
func (t *trial) allUp(ctx context.Context, d *daemon, n int) bool {
	limit := time.Now().Add(t.length(45*time.Second, 12*time.Second))
	for d.nodesUp(ctx) < n {
		if time.Now().After(limit) || pause(ctx, 20*time.Millisecond) != nil {
			return false
		}
	}
	return true
}

// nodesUp is the number of nodes that polyclamd reports as up.
func (d *daemon) nodesUp(ctx context.Context) (n int) {
	for f := range d.status(ctx) {
		if f.Key == "state" && f.Value == "up" {
			n++
		}
	}
	return n
}

func stoppedChecks(ctx context.Context, t *trial) error {
	up, down := &engine{}, &engine{}
	var sockets []string
	for i, e := range []*engine{up, down} {
		s, err := t.engineHere(fmt.Sprint("engine", i+1), e)
		if err != nil {
			return err
		}
		sockets = append(sockets, s)
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{"clamav", sockets, "canary_interval = \"3s\"\n"}}})
	if err != nil {
		return err
	}
	pause(ctx, 500*time.Millisecond)
	down.gone.Store(true)
	length := t.length(60*time.Second, 12*time.Second)
	checked := up.checks.Load()
	l := newLoad(ctx, d.unix())
	var gaps []time.Duration
	within(ctx, length, func(ctx context.Context) {
		l.rate(ctx, 1)
		last, seen := time.Now(), down.refused.Load()
		for pause(ctx, 50*time.Millisecond) == nil {
			if n := down.refused.Load(); n != seen {
				gaps, last, seen = append(gaps, time.Since(last)), time.Now(), n
			}
		}
		gaps = append(gaps, time.Since(last))
	})
	t.row("time", "%v, a scan a second: %s", length, l.wait().breakdown())
	t.row("checks of the node that is up", "%d", up.checks.Load()-checked)
	t.row("connections to the node that is down", "%d", down.refused.Load())
	t.row("time between them, and to the end", "%s", join(gaps))
	return nil
}

func stoppedHUP(ctx context.Context, t *trial) error {
	socket, err := t.engineHere("engine", &engine{latency: 300 * time.Millisecond})
	if err != nil {
		return err
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{"clamav", []string{socket}, ""}}})
	if err != nil {
		return err
	}
	l := newLoad(ctx, d.unix())
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	l.clients(loading, t.clients)
	n, ups := t.number(300, 60), 0
	for limit := time.Now().Add(hang); len(l.history.outcomes()) < n && time.Now().Before(limit); ups++ {
		// The pauses move the signal through every phase of a new configuration's
		// health checks.
		if err := pause(ctx, time.Duration(100+ups*170%1000)*time.Millisecond); err != nil {
			return err
		}
		d.Signal(syscall.SIGHUP)
	}
	cancel()
	all := l.wait()
	t.row("SIGHUP", "%d", ups)
	t.row("scans lost", "%d of %d", all.lost(), len(all))
	t.row("scans", "%s", all.breakdown())
	t.row("answers", "%s", quantiles(all.times(answered)))
	return nil
}

func stoppedOptional(ctx context.Context, t *trial) error {
	second := &engine{latency: 20 * time.Millisecond}
	first, err := t.engineHere("engine1", &engine{latency: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	optional, err := t.engineHere("engine2", second)
	if err != nil {
		return err
	}
	timeout := fmt.Sprintf("timeout = %q\n", t.timeout)
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{
		{"clamav", []string{first}, timeout}, {"second", []string{optional}, timeout + "required = false\n"}}})
	if err != nil {
		return err
	}
	pause(ctx, time.Second) // the second one passes its health check
	second.mute.Store(true)
	l := newLoad(ctx, d.unix())
	var took []time.Duration
	for range 6 {
		took = append(took, l.one().took)
	}
	t.row("timeout of the engines", "%v", t.timeout)
	t.row("scans, one after the other", "%s", l.wait().breakdown())
	t.row("answers after", "%s", join(took))
	return nil
}

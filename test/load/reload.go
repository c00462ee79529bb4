package main

import (
	"context"
	"time"
)

var reloadParts = []part{
	{"reload/blocking", "RELOAD under load: three nodes that answer nothing while they load (ConcurrentDatabaseReload no).",
		func(ctx context.Context, t *trial) error { return t.reload(ctx, 3, false) }},
	{"reload/concurrent", "RELOAD under load: three nodes that go on scanning while they load (ConcurrentDatabaseReload yes).",
		func(ctx context.Context, t *trial) error { return t.reload(ctx, 3, true) }},
	{"reload/one-node", "RELOAD under load: one node that goes on scanning while it loads.",
		func(ctx context.Context, t *trial) error { return t.reload(ctx, 1, true) }},
}

// reload measures scans while nodes load their signatures.
func (t *trial) reload(ctx context.Context, nodes int, concurrent bool) error {
	engines := make([]*engine, nodes)
	var sockets []string
	for i := range engines {
		engines[i] = &engine{latency: 20 * time.Millisecond, loadTime: t.loadTime, concurrent: concurrent}
		s, err := t.engineHere("engine"+string(rune('1'+i)), engines[i])
		if err != nil {
			return err
		}
		sockets = append(sockets, s)
	}
	d, err := t.polyclamdWith(ctx, settings{engines: []engineConfig{{"clamav", sockets, ""}}})
	if err != nil {
		return err
	}
	l := newLoad(ctx, d.unix())
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	l.clients(loading, t.clients)
	before := t.length(4*time.Second, time.Second)
	if err := pause(ctx, before); err != nil {
		return err
	}
	began := time.Now()
	reply, took, err := d.ask(ctx, "RELOAD", 2*hang)
	t.row("RELOAD answered", "%q after %v, %v", reply, round(took), err)
	limit := began.Add(time.Duration(nodes)*(t.loadTime+5*time.Second) + 10*time.Second)
	finished := make([]time.Duration, nodes)
	most := 0
	for reloaded := 0; reloaded < nodes && time.Now().Before(limit); {
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
		most = max(most, nodesLoading(engines))
		reloaded = 0
		for i, e := range engines {
			if e.reloads.Load() == 0 {
				continue
			}
			if reloaded++; finished[i] == 0 {
				finished[i] = time.Since(began)
			}
		}
	}
	pause(ctx, before)
	cancel()
	all := l.wait()
	during := all.between(began, began.Add(max(finished[0], finished[nodes-1])))
	t.row("nodes; time to load", "%d; %v", nodes, t.loadTime)
	t.row("nodes have loaded after", "%s", join(finished))
	t.row("nodes that load at the same time", "at most %d", most)
	t.row("scans failed", "%d of %d: %s", all.lost(), len(all), all.breakdown())
	t.row("longest wait", "%v", round(all.slowest()))
	t.row("answers while nodes load", "%s", quantiles(during.times(anyResult)))
	return nil
}

func nodesLoading(engines []*engine) (n int) {
	for _, e := range engines {
		if e.loading.Load() {
			n++
		}
	}
	return n
}

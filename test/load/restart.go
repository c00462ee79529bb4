package main

import (
	"context"
	"time"
)

var restartParts = []part{
	{"restart/activated", "SIGTERM and start, three times under load; the socket is kept, as systemd does.",
		func(ctx context.Context, t *trial) error { return t.restart(ctx, true) }},
	{"restart/own-socket", "SIGTERM and start, three times under load; polyclamd makes its own socket.",
		func(ctx context.Context, t *trial) error { return t.restart(ctx, false) }},
}

// restart measures scans while polyclamd restarts.
func (t *trial) restart(ctx context.Context, activated bool) error {
	socket, err := t.engineHere("engine", &engine{})
	if err != nil {
		return err
	}
	d, err := t.prepare(settings{engines: []engineConfig{{"clamav", []string{socket}, ""}}})
	if err != nil {
		return err
	}
	if activated {
		if err := d.activate(); err != nil {
			return err
		}
	}
	if err := d.start(ctx); err != nil {
		return err
	}
	l := newLoad(ctx, d.unix())
	loading, cancel := context.WithCancel(ctx)
	defer cancel()
	l.clients(loading, t.clients)
	var stops []time.Duration
	for range 3 {
		if err := pause(ctx, t.length(3*time.Second, time.Second)); err != nil {
			return err
		}
		took, _ := d.Stop(hang)
		stops = append(stops, took)
		if err := d.launch(); err != nil {
			return err
		}
	}
	pause(ctx, t.length(3*time.Second, time.Second))
	cancel()
	all := l.wait()
	t.row("clients; restarts", "%d; %d", t.clients, len(stops))
	t.row("SIGTERM took", "%s", join(stops))
	t.row("scans lost after they had a connection", "%d of %d", all.lost()-all.count(unconnected), len(all))
	t.row("scans", "%s", all.breakdown())
	t.row("answers", "%s", quantiles(all.times(answered)))
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/bench/report"
)

const (
	waiting = 1000            // clients besides the probe
	limit   = 3 * time.Second // for a probe before it counts as stalled
	probes  = 200
)

// idle shows what idle clients do to the scans of others with the real clamd, which
// stops at 101 connections of any kind.
func idle(ctx context.Context, w *world, out io.Writer) error {
	e, err := w.clamd()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nA scan of 10 KB beside %d clients that do nothing, in front of %s; p50 of %d scans, or whether it\nhas no answer within %v:\n\n",
		waiting, e.about, probes, limit)
	g := &report.Grid{Head: []string{"", "alone", "with idle clients", "with stalled clients"}}
	ways := slices.Clone(e.ways)
	slices.Reverse(ways)     // polyclam first, while all is well
	for _, y := range ways { // clamd is slower at first, which would count against the first way
		if _, err := probe(y.socket, newRequest(w.options.body, 10*kb, 998)); err != nil {
			return fmt.Errorf("%s: %w", y.name, err)
		}
	}
	for i, y := range ways {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		row, err := w.idleOf(e, y, uint64(900+i))
		if err != nil {
			return fmt.Errorf("%s: %w", y.name, err)
		}
		g.Add(row...)
	}
	fmt.Fprintln(out, g.Text()+"idle: connected, no command. stalled: in the middle of an INSTREAM.")
	w.blocks["idle"] = g.Markdown()
	return nil
}

// idleOf measures one way. seed is another one for each, because clamd remembers what it has
// found clean.
func (w *world) idleOf(e *engine, y way, seed uint64) ([]string, error) {
	r := newRequest(w.options.body, 10*kb, seed)
	alone, err := probe(y.socket, r)
	if err != nil {
		return nil, fmt.Errorf("alone: %w", err)
	}
	row := []string{y.name, duration(alone)}
	for _, p := range [][]byte{nil, streamBegin(1)} {
		text, err := beside(y, r, p, alone)
		if err != nil {
			return nil, err
		}
		row = append(row, text)
		if err := e.daemon.ready(e.ways[direct].socket); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// beside sends probes while a crowd that has sent p waits.
func beside(y way, r *request, p []byte, alone float64) (string, error) {
	crowd, err := gather(y.socket, waiting, p)
	defer crowd.leave()
	if err != nil {
		return "", err
	}
	if y.name == "polyclam" && len(crowd) < waiting {
		return "", fmt.Errorf("%d of %d clients got a connection", len(crowd), waiting)
	}
	took, err := probe(y.socket, r)
	if err != nil && (y.name == "polyclam" || !isNoAnswer(err)) {
		return "", err
	}
	if err != nil {
		return fmt.Sprintf("no answer (%d connected)", len(crowd)), nil
	}
	return fmt.Sprintf("%s (%.2f)", duration(took), took/alone), nil
}

// probe is the median time of scans made one after the other.
func probe(socket string, r *request) (float64, error) {
	c := newClient(socket, limit)
	var all []time.Duration
	for range probes {
		took, err := c.scan(r.renew())
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	slices.Sort(all)
	return quantile(all, 0.5), nil
}

// isRefused reports whether a call on a socket timed out.
func isRefused(err error) bool {
	return errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.ETIMEDOUT)
}

// isNoAnswer reports whether the request was not accepted, or timed out.
func isNoAnswer(err error) bool {
	return isRefused(err) || errors.Is(err, errClosed) || errors.Is(err, unix.ECONNRESET) || errors.Is(err, unix.EPIPE)
}

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"polyclam/cmd/internal/cli"
)

// minWatch is the shortest interval between two questions.
const minWatch = 100 * time.Millisecond

// The new text overwrites the old one, and then the rest of the old one is erased: erasing
// everything first would flicker.
const (
	topLeft   = "\x1b[H"
	clearLine = "\x1b[K"
	clearRest = "\x1b[J"
)

// watchStatus shows the status again and again until it is interrupted, and returns the last
// exit status. On a terminal each one replaces the one before. A polyclamd that does not
// answer is a status like any other.
func (t *tool) watchStatus(o statusOptions) (int, error) {
	interval, err := time.ParseDuration(o.watch)
	if err != nil || interval < minWatch {
		return 0, cli.Usagef("--watch=%s: want a duration of at least %v, as in \"5s\"", o.watch, minWatch)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, ok := t.stdout.(*os.File)
	terminal := ok && isTerminal(f) && !o.json
	tick := time.NewTicker(interval)
	defer tick.Stop()
	exit := exitOK
	for first := true; ; first = false {
		now := time.Now()
		st, err := t.askUntil(ctx, now)
		if err != nil || st == nil {
			return exit, err
		}
		exit = st.Exit
		if err := t.write(st.block(o, now, first, terminal)); err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return exit, nil
		case <-tick.C:
		}
	}
}

// askUntil is askStatus, but returns nil when ctx ends: a polyclamd that hangs must not
// delay the end.
func (t *tool) askUntil(ctx context.Context, now time.Time) (st *serverStatus, err error) {
	done := make(chan struct{})
	var asked *serverStatus
	var failed error
	go func() {
		defer close(done)
		asked, failed = t.askStatus(now)
	}()
	select {
	case <-done:
		return asked, failed
	case <-ctx.Done():
		return nil, nil
	}
}

// block returns the text of one status.
func (st *serverStatus) block(o statusOptions, now time.Time, first, terminal bool) string {
	if o.json {
		return jsonLine(st)
	}
	text := fmt.Sprintf("%s: %s", now.Format(time.DateTime), st.text(now))
	switch {
	case terminal:
		return topLeft + strings.ReplaceAll(text, "\n", clearLine+"\n") + clearRest
	case first:
		return text
	}
	return "\n" + text
}

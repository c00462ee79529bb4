package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/suggest"
	"polyclam/proxy/ops/admin"
)

// controls are the commands of the admin socket that concern the daemon. They have the main
// loop run functions that do not wait.
type controls struct {
	d      *process
	asks   chan<- func()
	ending <-chan struct{} // closed when the daemon stops
}

var _ admin.Controls = controls{}

// A reloadOutcome is how a reload ended. The main loop sets it before it closes done. Any
// number of commands may wait for one, and leave when they like.
type reloadOutcome struct {
	done  chan struct{}
	lines []string // changes and warnings
	err   error
}

func newOutcome() *reloadOutcome { return &reloadOutcome{done: make(chan struct{})} }

// end makes the outcome known. A nil outcome is one that no command waits for.
func (o *reloadOutcome) end(lines []string, err error) {
	if o != nil {
		o.lines, o.err = lines, err
		close(o.done)
	}
}

var errStopping = errors.New("polyclamd is about to stop")

// Reload implements [admin.Controls].
func (c controls) Reload(ctx context.Context) (changes []string, err error) {
	begun := make(chan *reloadOutcome, 1)
	if err := c.ask(ctx, func() { begun <- c.d.askReload() }); err != nil {
		return nil, err
	}
	select {
	case o := <-begun:
		return c.wait(ctx, o)
	case <-c.ending:
		return nil, errStopping
	}
}

func (c controls) wait(ctx context.Context, o *reloadOutcome) ([]string, error) {
	select {
	case <-o.done:
		return o.lines, o.err
	case <-c.ending:
		return nil, errStopping
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// ask has the main loop run do, which must not wait for anything.
func (c controls) ask(ctx context.Context, do func()) error {
	select {
	case c.asks <- do:
		return nil
	case <-c.ending:
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// SetLogLevel implements [admin.Controls].
func (c controls) SetLogLevel(level string) (before string, err error) {
	if !slices.Contains(config.Levels(), level) {
		return "", errors.New(suggest.Unknown("level", level, config.Levels()))
	}
	set := make(chan string, 1)
	if err := c.ask(context.Background(), func() { set <- c.d.setRuntimeLevel(level) }); err != nil {
		return "", err
	}
	select {
	case before = <-set:
		return before, nil
	case <-c.ending:
		return "", errStopping
	}
}

// askReload begins a reload, or has one follow the reload in progress, which may have read the
// file already. All commands that ask during one reload share the next.
func (d *process) askReload() *reloadOutcome {
	switch {
	case d.draining != nil:
		o := newOutcome()
		o.end(nil, errStopping)
		return o
	case d.reload == nil:
		d.outcome = newOutcome()
		d.beginReload()
		return d.outcome
	case d.next == nil:
		d.next = newOutcome()
	}
	d.beginReload()
	return d.next
}

// endOutcome reports the end of a reload to the commands that wait for it.
func (d *process) endOutcome(lines []string, err error) {
	d.outcome.end(lines, err)
	d.outcome, d.next = d.next, nil
}

// reloadLines returns what a reload has changed, and the warnings about the new configuration.
func (r *reload) reloadLines() []string {
	lines := slices.Clone(r.changes)
	if len(lines) == 0 {
		lines = append(lines, "nothing changed")
	}
	for _, w := range r.warnings {
		lines = append(lines, admin.WarningPrefix+w)
	}
	for _, w := range r.file.Warnings {
		lines = append(lines, admin.WarningPrefix+w.String())
	}
	for _, c := range r.fitted.changes {
		lines = append(lines, fmt.Sprintf("%s%s is lowered from %d to %d: %s", admin.WarningPrefix, c.Key, c.Before, c.Now, c.Hint))
	}
	return lines
}

// configuredLevel is the level of the log without SetLogLevel.
func (d *process) configuredLevel() string { return cmp.Or(d.options.logLevel, d.file.Log.Level) }

// setRuntimeLevel changes the level of the log, and returns the one before.
func (d *process) setRuntimeLevel(level string) (before string) {
	before = zerolog.GlobalLevel().String()
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return before // SetLogLevel has checked it
	}
	zerolog.SetGlobalLevel(parsed)
	d.about.LogLevel = level
	if level == d.configuredLevel() {
		d.about.LogLevel = ""
	}
	d.server.SetAbout(d.about)
	return before
}

// applyLevel applies the level of a new configuration, unless it is the same as before: then
// one that was set at run time stays.
func (d *process) applyLevel(c config.Log) {
	if c.Level == d.file.Log.Level || d.options.logLevel != "" {
		return
	}
	if err := setLevel(c, ""); err != nil {
		d.log.Warn().Err(err).Str("key", "log.level").Msg("configuration")
	}
	d.about.LogLevel = ""
}

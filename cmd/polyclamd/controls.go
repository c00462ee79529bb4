package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config"
	"polyclam/proxy/ops/admin"
)

// controls are the commands of the admin socket that concern the daemon. They communicate
// with the main loop through channels.
type controls struct {
	asks   chan<- chan<- reloadAnswer
	ending <-chan struct{} // closed when the daemon stops
}

var _ admin.Controls = controls{}

// A reloadAnswer is the outcome of a reload.
type reloadAnswer struct {
	changes []string
	err     error
}

var errStopping = errors.New("polyclamd is about to stop")

// Reload implements [admin.Controls].
func (c controls) Reload(ctx context.Context) (changes []string, err error) {
	answer := make(chan reloadAnswer, 1)
	select {
	case c.asks <- answer:
	case <-c.ending:
		return nil, errStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case a := <-answer:
		return a.changes, a.err
	case <-c.ending:
		return nil, errStopping
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// SetLogLevel implements [admin.Controls].
func (c controls) SetLogLevel(level string) (before string, err error) {
	if !slices.Contains(config.Levels(), level) {
		return "", fmt.Errorf("unknown level %q; write %s", level, strings.Join(config.Levels(), ", "))
	}
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return "", err
	}
	before = zerolog.GlobalLevel().String()
	zerolog.SetGlobalLevel(parsed)
	return before, nil
}

// handleAsk begins a reload that the admin socket asks for.
func (d *process) handleAsk(answer chan<- reloadAnswer) {
	if d.reload != nil {
		d.askedAgain = append(d.askedAgain, answer)
	} else {
		d.asked = append(d.asked, answer)
	}
	d.beginReload()
}

// answerAsked reports the outcome of a reload to those who asked for it. It does not wait.
func (d *process) answerAsked(a reloadAnswer) {
	for _, answer := range d.asked {
		answer <- a // has room for it
	}
	d.asked, d.askedAgain = d.askedAgain, nil
}

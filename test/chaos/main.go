// Chaos runs polyclamd with engines that break in every known way and clients that use
// every kind of request. It then proves from the recorded history that no invariant was
// broken: above all, that for each OK every engine that counts answered clean, about
// all bytes of the object.
//
//	make chaos DURATION=30m SEED=7
//	go run ./test/chaos -duration 30m -seed 7 -keep /tmp/chaos
//
// Seed and duration determine the schedule of faults, but not their timing on the
// machine: a seed makes a violation likely, not certain. The history shows what
// happened.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"polyclam/test/chaos/checker"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// settings are the command line.
type settings struct {
	duration, each, slack time.Duration
	seed                  uint64
	clients               int
	binary, keep, check   string
	cached                string
}

func parseFlags() *settings {
	var s settings
	flag.DurationVar(&s.duration, "duration", time.Minute, "how long all runs together take")
	flag.DurationVar(&s.each, "each", 3*time.Minute, "the longest time of one run; each has its own seed")
	flag.Uint64Var(&s.seed, "seed", 0, "the first seed; 0: a random one")
	flag.IntVar(&s.clients, "clients", 8, "number of concurrent clients")
	flag.StringVar(&s.binary, "polyclamd", "", "the program; built if empty")
	flag.StringVar(&s.keep, "keep", "", "a directory for the histories, which are removed otherwise")
	flag.StringVar(&s.check, "check", "", "only judge the history in this directory again")
	flag.StringVar(&s.cached, "cache", "", "\"on\" or \"off\": the runs are about the cache, or not; empty: every second one")
	flag.DurationVar(&s.slack, "slack", 2*time.Second, "how late a deadline may be on a busy machine")
	flag.Parse()
	if s.seed == 0 {
		s.seed = uint64(rand.Uint32())
	}
	return &s
}

func run() error {
	s := parseFlags()
	if s.check != "" {
		o := options{dir: s.check, seed: s.seed, cached: s.cached == "on"}
		report, err := judge(o, s.slack)
		if err == nil {
			print(os.Stdout, o, report)
		}
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if s.keep != "" {
		dir = s.keep
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if s.binary == "" {
		s.binary = filepath.Join(dir, "polyclamd")
		if err := build(s.binary, "polyclam/cmd/polyclamd"); err != nil {
			return err
		}
	}
	return s.runs(ctx, dir)
}

// runs makes one run after the other, each with its own seed, until the duration is over.
func (s *settings) runs(ctx context.Context, dir string) error {
	violations := 0
	cached := s.cached != "off"
	for left := s.duration; left > 0 && ctx.Err() == nil; left -= s.each {
		o := options{
			dir: filepath.Join(dir, fmt.Sprint(s.seed)), binary: s.binary, seed: s.seed, clients: s.clients,
			plan: newPlan(s.seed, min(left, s.each), cached), cached: cached,
		}
		if s.cached == "" {
			cached = !cached
		}
		report, err := chaos(ctx, o, s.slack)
		if err != nil {
			return fmt.Errorf("seed %d: %w", s.seed, err)
		}
		print(os.Stdout, o, report)
		violations += len(report.Violations)
		if s.keep == "" {
			os.RemoveAll(o.dir)
		}
		s.seed++
	}
	if violations > 0 {
		return fmt.Errorf("%d violations", violations)
	}
	return ctx.Err()
}

// chaos is one run in its own directory, with its judgement.
func chaos(ctx context.Context, o options, slack time.Duration) (*checker.Report, error) {
	if err := os.Mkdir(o.dir, 0o700); err != nil {
		return nil, err
	}
	w, err := newWorld(o)
	if err != nil {
		return nil, err
	}
	w.play(ctx)
	w.close()
	if err := w.failed(); err != nil {
		return nil, err
	}
	return judge(o, slack)
}

// judge judges the history of a run.
func judge(o options, slack time.Duration) (*checker.Report, error) {
	past, err := load(o.dir)
	if err != nil {
		return nil, err
	}
	if len(past.Requests) == 0 || len(past.Steps) == 0 {
		return nil, errors.New("nothing happened: the harness is broken")
	}
	report := checker.Check(past, o.rules(slack))
	return &report, nil
}

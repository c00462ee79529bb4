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

func run() error {
	duration := flag.Duration("duration", time.Minute, "how long all runs together take")
	each := flag.Duration("each", 3*time.Minute, "the longest time of one run; each has its own seed")
	seed := flag.Uint64("seed", 0, "the first seed; 0: a random one")
	clients := flag.Int("clients", 8, "clients at the same time")
	binary := flag.String("polyclamd", "", "the program; built if empty")
	keep := flag.String("keep", "", "a directory for the histories, which are removed otherwise")
	check := flag.String("check", "", "judge the history in this directory again, and do nothing else")
	slack := flag.Duration("slack", 2*time.Second, "what a deadline may be missed by on a busy machine")
	flag.Parse()
	if *check != "" {
		o := options{dir: *check, seed: *seed}
		report, err := judge(o, *slack)
		if err == nil {
			print(os.Stdout, o, report)
		}
		return err
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if *keep != "" {
		dir = *keep
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if *binary == "" {
		*binary = filepath.Join(dir, "polyclamd")
		if err := build(*binary, "polyclam/cmd/polyclamd"); err != nil {
			return err
		}
	}
	violations := 0
	for left := *duration; left > 0 && ctx.Err() == nil; left -= *each {
		o := options{
			dir: filepath.Join(dir, fmt.Sprint(*seed)), binary: *binary, seed: *seed, clients: *clients,
			plan: newPlan(*seed, min(left, *each)),
		}
		report, err := chaos(ctx, o, *slack)
		if err != nil {
			return fmt.Errorf("seed %d: %w", *seed, err)
		}
		print(os.Stdout, o, report)
		violations += len(report.Violations)
		if *keep == "" {
			os.RemoveAll(o.dir)
		}
		*seed++
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

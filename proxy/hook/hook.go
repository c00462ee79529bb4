// Package hook runs the operator's program for each object in which something was found,
// like clamd's VirusEvent, but without a shell and with bounds: a slow program delays no
// scan, and events that it cannot keep up with are dropped and counted.
package hook

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/lograte"
)

// Config says what to run. It does not change while it is in use.
type Config struct {
	Program   string   // absolute path; empty: none
	Arguments []string // passed as they are
	// Categories are those of the verdicts for which the program runs.
	Categories []backends.Category
	Timeout    time.Duration // of one run, which is then killed
	MaxRunning int           // concurrent runs
	Queue      int           // events that wait for a run
}

// Defaults returns the configuration of a hook without a program.
func Defaults() Config {
	return Config{
		// clamd 1.4.6 runs VirusEvent for everything that it reports as FOUND.
		Categories: []backends.Category{backends.Virus, backends.Suspicious},
		Timeout:    30 * time.Second,
		MaxRunning: 2,
		Queue:      100,
	}
}

// Wants reports whether the program runs for verdicts of this category.
func (c *Config) Wants(category backends.Category) bool {
	return c != nil && c.Program != "" && slices.Contains(c.Categories, category)
}

// Stats counts runs since the start.
type Stats struct {
	Runs     int64 // that have ended, with or without success
	Failures int64 // could not start, ended with another status than 0, or took too long
	Dropped  int64 // events without a run: too many waited, or the daemon stopped
	Waiting  int64 // events in the queue now
}

// ErrClosed is the error of a run that was killed because the daemon stops.
var ErrClosed = errors.New("the daemon is stopping")

// Runner runs the programs. Its methods are safe for concurrent use.
type Runner struct {
	log  zerolog.Logger
	rate *lograte.Limiter

	mu      sync.Mutex
	queue   []job
	running int
	closing bool
	stats   Stats

	work   sync.WaitGroup
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// job is an event and how to run the program for it.
type job struct {
	config *Config
	event  Event
}

// NewRunner returns a runner that logs to log. Close releases it.
func NewRunner(log zerolog.Logger) *Runner {
	r := &Runner{log: log, rate: lograte.New(reportInterval, time.Now)}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	return r
}

// Found runs the program of c for e, in the background. It never waits: if too many events
// are already waiting, it drops e. The caller has checked [Config.Wants].
func (r *Runner) Found(c *Config, e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing || len(r.queue) >= c.Queue && r.running >= c.MaxRunning {
		r.drop(e.ID)
		return
	}
	r.queue = append(r.queue, job{c, e})
	if r.running < c.MaxRunning {
		r.running++
		r.work.Go(r.runAll)
	}
}

// runAll runs the program for event after event, until none is waiting or more runs are in
// progress than allowed.
func (r *Runner) runAll() {
	for {
		j, ok := r.next()
		if !ok {
			return
		}
		err := j.run(r.ctx)
		r.ended(j, err)
	}
}

func (r *Runner) next() (job, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// A reload may have lowered MaxRunning.
	if len(r.queue) == 0 || r.running > r.queue[0].config.MaxRunning {
		r.running--
		return job{}, false
	}
	j := r.queue[0]
	r.queue[0] = job{}
	r.queue = r.queue[1:]
	return j, true
}

// Stats returns the counts.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Waiting = int64(len(r.queue))
	return s
}

// Close accepts no more events, and waits for those that it has until ctx ends. Then it
// kills the programs that are still running and drops the events that are still waiting. It
// returns when no program is left.
func (r *Runner) Close(ctx context.Context) {
	r.mu.Lock()
	r.closing = true
	r.mu.Unlock()
	stop := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.dropAll()
		r.cancel(ErrClosed)
	})
	defer stop()
	r.work.Wait()
	r.cancel(nil)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/pflag"
)

var scanCommand = command{
	name:  "scan",
	args:  "FILE|DIRECTORY|- ...",
	short: "Have files scanned, and show what each engine says of them",
	long: `Directories are walked by this tool. Links below them are not followed; special
files and the kernel's own file systems are left out. "-" is standard input. Over a
Unix socket the server is handed the open file: it needs no right to read it, and
no limit for streams applies. A plain clamd is asked by its own commands; it tells
one name, and what that means is derived from it.

Exit status, the first that applies:
  1  a virus or something suspicious was found, or content that the site quarantines
  2  something could not be scanned, or the command line is wrong
  3  encrypted content: nothing found, but nobody could look inside
  4  content of which a part was not scanned, for a lasting reason
  0  everything was scanned and is ok
`,
	prepare: func(t *tool, flags *pflag.FlagSet) func([]string) (int, error) {
		var o scanOptions
		flags.IntVarP(&o.jobs, "jobs", "j", 4, "`number` of files scanned at once")
		flags.BoolVarP(&o.quiet, "quiet", "q", false, "show only what is not ok, and no summary")
		flags.BoolVarP(&o.infected, "infected", "i", false, "show only what exit status 1 is for, and the summary")
		flags.BoolVar(&o.json, "json", false, "print one JSON object a line")
		flags.BoolVar(&o.stream, "stream", false, "send the bytes over a Unix socket too, instead of the open file")
		flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long the server may take for one file, counted from the last byte sent; 0: no limit")
		return func(args []string) (int, error) {
			if err := o.check(args); err != nil {
				return 0, err
			}
			return t.scan(o, args)
		}
	},
}

type scanOptions struct {
	jobs                          int
	quiet, infected, json, stream bool
	timeout                       time.Duration
}

const maxJobs = 256

func (o scanOptions) check(args []string) error {
	stdin := 0
	for _, a := range args {
		if a == "-" {
			stdin++
		}
	}
	switch {
	case len(args) == 0:
		return badUsage("nothing to scan; want files or directories, or - for standard input")
	case stdin > 1:
		return badUsage("- is given %d times; there is one standard input", stdin)
	case o.jobs < 1 || o.jobs > maxJobs:
		return badUsage("--jobs %d: want a number between 1 and %d", o.jobs, maxJobs)
	case o.timeout < 0:
		return badUsage("--timeout %v: want a duration as in \"90s\", or 0", o.timeout)
	}
	return nil
}

// errGone ends a walk.
var errGone = errors.New("the server has gone")

// job is an object on its way to its outcome.
type job struct {
	object
	done chan outcome // takes one
}

// scan scans everything the arguments stand for. Outcomes are printed in the
// order of the walk, by this goroutine alone.
func (t *tool) scan(o scanOptions, args []string) (int, error) {
	start := time.Now()
	s, err := t.scanner()
	if err != nil {
		return 0, err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	p := newProgress(t.stderr)
	defer p.close()
	a := &asker{server: s, stream: o.stream || s.network != "unix", timeout: o.timeout, stdin: t.stdin, progress: p, stop: stop}
	q := newQueue(ctx, a, o.jobs)
	go q.walk(args)
	r := newReport(o, s)
	show := func(text string) error {
		if err := p.print(t.stdout, text); err != nil {
			return fmt.Errorf("standard output: %w", err)
		}
		return nil
	}
	for j := range q.order {
		oc := <-j.done
		p.add(oc)
		if err := show(r.add(oc)); err != nil {
			stop(err)
			q.drain()
			return 0, err
		}
	}
	r.finish(q.walker.skipped, time.Since(start), q.err)
	if err := show(r.summary()); err != nil {
		return 0, err
	}
	if q.err != nil {
		p.close()
		t.complain("stopped, not everything was scanned: %v", q.err)
	}
	return r.exit, nil
}

// scanner finds the server to scan with.
func (t *tool) scanner() (*server, error) {
	s, err := t.reach("server", identify)
	if err == nil && !s.extended {
		t.complain("note: the server at %s is a plain clamd, or like one: it tells one name and no engines", s)
	}
	return s, err
}

// queue scans the objects of a walk, several at once, and keeps their order. It
// holds few objects, however many there are.
type queue struct {
	ctx    context.Context
	asker  *asker
	jobs   int
	order  chan *job // in the order of the walk; closed behind the last
	work   chan *job
	walker walker
	err    error // why the walk was ended; to be read when order is closed
}

func newQueue(ctx context.Context, a *asker, jobs int) *queue {
	q := &queue{ctx: ctx, asker: a, jobs: jobs, order: make(chan *job, 16*jobs), work: make(chan *job)}
	q.walker.emit = q.put
	return q
}

// walk walks the arguments, and returns when everything is on its way.
func (q *queue) walk(args []string) {
	defer close(q.order)
	defer close(q.work)
	for range q.jobs {
		go q.scanAll()
	}
	for _, name := range args {
		if err := q.walker.argument(name); err != nil {
			break
		}
	}
	q.err = context.Cause(q.ctx)
}

// put hands an object to whoever is free.
func (q *queue) put(o object) error {
	if q.ctx.Err() != nil {
		return context.Cause(q.ctx)
	}
	j := &job{object: o, done: make(chan outcome, 1)}
	q.order <- j
	q.work <- j
	return nil
}

func (q *queue) scanAll() {
	for j := range q.work {
		j.done <- q.asker.outcome(q.ctx, j.object)
	}
}

// drain lets a walk that was stopped come to its end.
func (q *queue) drain() {
	for range q.order {
	}
}

// copied counts the bytes that are read, and tells about them.
type copied struct {
	r    io.Reader
	n    int64
	tell func(n int)
}

func (c *copied) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(n)
	return n, err
}

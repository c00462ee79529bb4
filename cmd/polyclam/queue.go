package main

import "context"

// queue scans the objects of a walk, several at the same time, and keeps their order. It
// holds a bounded number of objects.
type queue struct {
	ctx     context.Context
	scanner *scanner
	jobs    int
	order   chan *job // in the order of the walk; closed after the last
	work    chan *job
	walker  walker
	err     error // why the walk was ended; valid when order is closed
}

// job is an object on its way to its outcome.
type job struct {
	object
	done chan outcome // has room for the one outcome
}

func newQueue(ctx context.Context, s *scanner, jobs int) *queue {
	q := &queue{ctx: ctx, scanner: s, jobs: jobs, order: make(chan *job, 16*jobs), work: make(chan *job)}
	q.walker.emit = q.put
	return q
}

// walk walks the arguments, and returns when every object has been given to a scan.
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
		j.done <- q.scanner.scan(q.ctx, j.object)
	}
}

// drain waits for the end of a walk that was stopped.
func (q *queue) drain() {
	for range q.order {
	}
}

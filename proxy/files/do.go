package files

import (
	"context"
	"fmt"
)

// An operation's result comes on done unless the operation was written off first.
type operation[T any] struct {
	v        T
	err      error
	panicked any
	done     chan struct{}

	// Guarded by Pool.mu.
	returned, lost bool
}

// Do runs op on a thread of p and returns what it returned. When ctx ends first, Do
// returns an error that says what was being done, and the thread is written off; drop,
// if not nil, gets the result of op when there is one after all. doing completes
// "while ...": "opening the file".
//
// op must not use anything that its caller uses again after an error.
func Do[T any](ctx context.Context, p *Pool, doing string, op func() (T, error), drop func(T)) (T, error) {
	var zero T
	m, err := p.enter(ctx)
	if err != nil {
		return zero, &StuckError{Doing: doing, Err: err}
	}
	o := &operation[T]{done: make(chan struct{})}
	go o.run(p, m, op, drop)
	select {
	case <-o.done:
	case <-ctx.Done():
		if p.writeOff(m, &o.returned, &o.lost) {
			return zero, &StuckError{Doing: doing, begun: true, Err: fmt.Errorf("the file system did not answer: %w", context.Cause(ctx))}
		}
		<-o.done
	}
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.v, o.err
}

func (o *operation[T]) run(p *Pool, m *member, op func() (T, error), drop func(T)) {
	func() {
		defer func() { o.panicked = recover() }()
		o.v, o.err = op()
	}()
	p.mu.Lock()
	o.returned = true
	lost := o.lost
	if !lost {
		p.leave(m, false)
	}
	p.mu.Unlock()
	close(o.done)
	if !lost {
		return
	}
	if drop != nil && o.err == nil && o.panicked == nil {
		drop(o.v) // this may take as long again, so the thread still counts
	}
	p.mu.Lock()
	p.leave(m, true)
	p.mu.Unlock()
}

// writeOff gives up on an operation, unless it has returned.
func (p *Pool) writeOff(m *member, returned, lost *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *returned {
		return false
	}
	*lost = true
	p.lost++
	m.lost++
	return true
}

// A StuckError says that the time was over before a file system answered, or before
// there was a thread to ask it.
type StuckError struct {
	Doing string // "reading the file"
	Err   error
	begun bool // a thread is still at it
}

// Error implements error.
func (e *StuckError) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap returns the reason, which wraps the cause of the context.
func (e *StuckError) Unwrap() error { return e.Err }

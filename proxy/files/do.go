package files

import (
	"context"
	"fmt"
)

// An operation is one call of Do.
type operation[T any] struct {
	v        T
	err      error
	panicked any
	done     chan struct{} // closed when op has returned

	// Guarded by Pool.mu.
	returned, writtenOff bool
}

// Do runs op on a thread of p and returns its result. If ctx ends first, Do writes the
// thread off and returns a [StuckError]; if op succeeds after all, its result goes to drop,
// unless drop is nil. doing names the operation for the error: "opening the file".
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
		if p.writeOff(m, &o.returned, &o.writtenOff) {
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
	writtenOff := o.writtenOff
	if !writtenOff {
		p.leave(m, false)
	}
	p.mu.Unlock()
	close(o.done)
	if !writtenOff {
		return
	}
	if drop != nil && o.err == nil && o.panicked == nil {
		drop(o.v) // may take as long again, so the thread still counts
	}
	p.mu.Lock()
	p.leave(m, true)
	p.mu.Unlock()
}

// writeOff gives up on an operation, unless it has returned.
func (p *Pool) writeOff(m *member, returned, writtenOff *bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if *returned {
		return false
	}
	*writtenOff = true
	p.writtenOff++
	m.writtenOff++
	return true
}

// A StuckError says that time ran out before a file system answered, or before there was
// a free thread to ask it.
type StuckError struct {
	Doing string // "reading the file"
	Err   error
	begun bool // a thread is still working on it
}

// Error implements error.
func (e *StuckError) Error() string { return e.Doing + ": " + e.Err.Error() }

// Unwrap returns the reason, which wraps the cause of the context.
func (e *StuckError) Unwrap() error { return e.Err }

// Package files opens and reads what clients hand over or name: descriptors, paths and
// directories. It knows the file systems they are on, the kernel's own among them.
//
// An operation on such a file may take forever: its file system may be a program of the
// client's (FUSE) or a server that is down (NFS). A [Pool] runs these operations on a
// limited number of threads. If the context of an operation ends first, the caller
// continues and the thread is written off: it counts against the pool and the client until
// the kernel returns.
//
// A [File] knows where its bytes are. Memory is read directly. A local file is read
// directly if the kernel has it cached, and otherwise through the pool. Every other file
// must be copied before engines see it, or they would have to wait for it too: see
// [File.Foreign].
package files

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"polyclam/proxy/client"
)

// DefaultThreads is the number of threads of a Pool made without a limit.
const DefaultThreads = 64

// A Pool runs operations that may never return. It is safe for concurrent use.
type Pool struct {
	mu         sync.Mutex
	limit      int
	busy       int // threads in use, including those written off
	writtenOff int
	queued     int // operations that wait, not counting closes
	closing    int // descriptors that wait to be closed
	members    map[client.Key]*member
	turns      list.List // of *member with something to run, in the order of their turns
}

// A member is a client with operations in the pool.
type member struct {
	key        client.Key
	busy       int
	writtenOff int
	waiting    list.List     // of *ticket
	closes     []func()      // closes of descriptors, which nothing waits for
	closedLast bool          // the last thread was for a close
	turn       *list.Element // in Pool.turns; nil: nothing to run
}

// A ticket is an operation that waits for a thread.
type ticket struct {
	ready chan struct{} // closed with granted
	// granted is guarded by Pool.mu.
	granted bool
}

// NewPool returns a pool of at most limit threads; 0 is DefaultThreads.
func NewPool(limit int) *Pool {
	p := &Pool{members: map[client.Key]*member{}}
	p.SetLimit(limit)
	return p
}

// SetLimit changes the number of threads. Operations under way continue.
func (p *Pool) SetLimit(limit int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if limit < 1 {
		limit = DefaultThreads
	}
	p.limit = limit
	p.dispatch()
}

// Stats is the state of a pool.
type Stats struct {
	Limit      int // threads
	Busy       int // threads in use, including those written off
	WrittenOff int // threads whose callers gave up
	Waiting    int // operations that wait for a thread
	Closing    int // descriptors that wait to be closed
}

// Stats returns the state of the pool.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Limit: p.limit, Busy: p.busy, WrittenOff: p.writtenOff, Waiting: p.queued, Closing: p.closing}
}

// share is the number of threads that one client may use: three quarters, so that a
// client with hung files leaves some for others. The daemon itself may use all of them.
func (p *Pool) share(k client.Key) int {
	if k.IsZero() {
		return p.limit
	}
	return max(1, p.limit-p.limit/4)
}

// maxClosing is the number of descriptors of one client that may wait to be closed.
const maxClosing = 256

// Crowded reports whether so many descriptors of a client wait to be closed, because their
// file systems do not answer, that no more should be accepted from it.
func (p *Pool) Crowded(k client.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[k]
	return m != nil && len(m.closes) >= maxClosing
}

// enter takes a thread for the client of ctx, and waits for its turn until ctx ends.
func (p *Pool) enter(ctx context.Context) (*member, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	k := client.FromContext(ctx)
	p.mu.Lock()
	m := p.member(k)
	if m.turn == nil && p.busy < p.limit && m.busy < p.share(k) {
		p.take(m)
		p.mu.Unlock()
		return m, nil
	}
	t := &ticket{ready: make(chan struct{})}
	place := m.waiting.PushBack(t)
	p.queued++
	p.enqueue(m)
	p.dispatch()
	p.mu.Unlock()
	select {
	case <-t.ready:
		return m, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.granted {
		return m, nil
	}
	m.waiting.Remove(place)
	p.queued--
	err := p.fullError(m, context.Cause(ctx))
	p.dispatch() // m may have nothing left to run
	return nil, err
}

// fullError says why there was no thread in time.
func (p *Pool) fullError(m *member, cause error) error {
	if m.busy >= p.share(m.key) {
		return fmt.Errorf("%s has its share of limits.file_threads, %d of %d, in use, %d of them for file systems that do not answer: %w",
			m.key, p.share(m.key), p.limit, m.writtenOff, cause)
	}
	return fmt.Errorf("all %d of limits.file_threads are in use, %d of them for file systems that do not answer: %w", p.limit, p.writtenOff, cause)
}

func (p *Pool) member(k client.Key) *member {
	m := p.members[k]
	if m == nil {
		m = &member{key: k}
		p.members[k] = m
	}
	return m
}

// take gives a thread to m.
func (p *Pool) take(m *member) {
	p.busy++
	m.busy++
}

// leave returns a thread of m, which may have been written off.
func (p *Pool) leave(m *member, writtenOff bool) {
	p.busy--
	m.busy--
	if writtenOff {
		p.writtenOff--
		m.writtenOff--
	}
	p.dispatch()
	p.forget(m)
}

// forget removes a member that has no threads and nothing to run.
func (p *Pool) forget(m *member) {
	if m.busy == 0 && m.turn == nil && p.members[m.key] == m {
		delete(p.members, m.key)
	}
}

// enqueue puts m in line for a turn.
func (p *Pool) enqueue(m *member) {
	if m.turn == nil {
		m.turn = p.turns.PushBack(m)
	}
}

// dispatch gives free threads to clients in turn, one each.
func (p *Pool) dispatch() {
	blocked := 0
	for p.busy < p.limit && p.turns.Len() > blocked {
		e := p.turns.Front()
		m := e.Value.(*member)
		switch {
		case m.waiting.Len() == 0 && len(m.closes) == 0:
			p.turns.Remove(e)
			m.turn = nil
			p.forget(m)
			continue
		case m.busy >= p.share(m.key):
			p.turns.MoveToBack(e)
			blocked++
			continue
		}
		p.run(m)
		p.turns.MoveToBack(e)
		blocked = 0
	}
}

// run gives a thread to the next operation of m. Closes take turns with other operations,
// so that they do not pile up while a client is busy.
func (p *Pool) run(m *member) {
	p.take(m)
	first := m.waiting.Front()
	m.closedLast = !m.closedLast && len(m.closes) > 0
	if first != nil && !m.closedLast {
		t := m.waiting.Remove(first).(*ticket)
		p.queued--
		t.granted = true
		close(t.ready)
		return
	}
	closeOne := m.closes[0]
	m.closes = m.closes[1:]
	p.closing--
	go func() {
		closeOne()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.leave(m, false)
	}()
}

// closeLater runs the close of a descriptor of client k on a thread of the pool. Nothing
// waits for it.
func (p *Pool) closeLater(k client.Key, closeOne func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(k)
	m.closes = append(m.closes, closeOne)
	p.closing++
	p.enqueue(m)
	p.dispatch()
}

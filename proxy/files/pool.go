// Package files is the only place that touches what clients hand over: descriptors,
// paths and directories. Any operation on them may take as long as the file system
// likes, and the file system may be a program of the client's (FUSE) or a server that
// is down (NFS).
//
// A [Pool] runs such operations on a bounded number of threads. When the context of
// an operation ends first, its caller goes on and the thread is written off: it still
// counts, against the pool and against its client, until the kernel returns.
//
// A [File] knows where its bytes are. Memory is read directly. A local file is read
// directly as far as the kernel has it in memory, and through the pool where it would
// have to wait. Every other file must be copied before engines see it, since they
// would wait as well: [File.Foreign].
package files

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"polyclam/proxy/client"
)

// DefaultThreads is the limit of a Pool made without one.
const DefaultThreads = 64

// A Pool runs operations that may never return. It is safe for concurrent use.
type Pool struct {
	mu      sync.Mutex
	limit   int
	busy    int // threads in use, written off or not
	lost    int // threads written off
	queued  int // operations that wait, closes not counted
	closing int // descriptors that wait to be closed
	members map[client.Key]*member
	turns   list.List // of *member with something to run, in the order of their turns
}

// A member is a client with operations in the pool.
type member struct {
	key     client.Key
	busy    int
	lost    int
	waiting list.List // of *ticket
	closes  []func()  // closes of descriptors that nothing waits for
	// closeNext says that the last thread was for a close.
	closeNext bool
	turn      *list.Element // in Pool.turns; nil: it wants nothing
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

// SetLimit changes the number of threads. Operations that run go on.
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
	Busy       int // threads in use, those written off included
	WrittenOff int // threads whose callers went on without them
	Waiting    int // operations that wait for a thread
	Closing    int // descriptors that wait to be closed
}

// Stats returns the state of the pool.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{Limit: p.limit, Busy: p.busy, WrittenOff: p.lost, Waiting: p.queued, Closing: p.closing}
}

// share is the number of threads that one client may use: three quarters, so that a
// client with hung files leaves some to others. The daemon itself has no share.
func (p *Pool) share(k client.Key) int {
	if k.IsZero() {
		return p.limit
	}
	return max(1, p.limit-p.limit/4)
}

// maxClosing is the number of descriptors of one client that may wait to be closed.
const maxClosing = 256

// Crowded reports whether so many descriptors of a client wait to be closed that no
// more should be taken from it: their file systems do not answer.
func (p *Pool) Crowded(k client.Key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[k]
	return m != nil && len(m.closes) >= maxClosing
}

// enter takes a thread for the client of ctx. It waits for its turn until ctx ends.
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
	p.wants(m)
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
	err := p.full(m, context.Cause(ctx))
	p.dispatch() // m may have nothing to run any more
	return nil, err
}

// full says why there was no thread in time.
func (p *Pool) full(m *member, cause error) error {
	if m.busy >= p.share(m.key) {
		return fmt.Errorf("%s has its share of limits.file_threads, %d of %d, in use, %d of them for file systems that do not answer: %w",
			m.key, p.share(m.key), p.limit, m.lost, cause)
	}
	return fmt.Errorf("all %d of limits.file_threads are in use, %d of them for file systems that do not answer: %w", p.limit, p.lost, cause)
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

// leave gives the thread of m back, which may have been written off.
func (p *Pool) leave(m *member, lost bool) {
	p.busy--
	m.busy--
	if lost {
		p.lost--
		m.lost--
	}
	p.dispatch()
	p.forget(m)
}

// forget drops a member that has nothing to do with the pool any more.
func (p *Pool) forget(m *member) {
	if m.busy == 0 && m.turn == nil && p.members[m.key] == m {
		delete(p.members, m.key)
	}
}

// wants puts m in line.
func (p *Pool) wants(m *member) {
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

// run gives a thread to the next operation of m. Closes take turns with the others: a
// busy client must not fall behind with them.
func (p *Pool) run(m *member) {
	p.take(m)
	first := m.waiting.Front()
	m.closeNext = !m.closeNext && len(m.closes) > 0
	if first != nil && !m.closeNext {
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

// later runs the close of a descriptor of client k on a thread of the pool. Nothing
// waits for it.
func (p *Pool) later(k client.Key, closeOne func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.member(k)
	m.closes = append(m.closes, closeOne)
	p.closing++
	p.wants(m)
	p.dispatch()
}

// Package logbuf keeps a stalled log from blocking the program.
//
// A [Buffer] accepts lines without waiting and writes them in order from another
// goroutine. While the reader is slow, the disk is full or the terminal is stopped, it
// keeps lines up to a limit in bytes. It drops and counts any further lines, and a line
// in their place reports how many were lost.
//
// zerolog's diode was not enough: it limits lines instead of bytes, drops a whole ring
// when one writer laps another, ignores write errors, and its Close waits for the reader.
package logbuf

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// atomic is PIPE_BUF: a write of at most this size to a pipe is never split.
	atomic = 4096
	// keep is the size of the largest array that stays allocated while idle.
	keep = 64 << 10

	// gather is how long an ordinary line waits for others to be written with it:
	// waking a thread costs more than the write. A kill -9 loses at most the lines of
	// that period.
	gather = 10 * time.Millisecond

	shortestPause = 10 * time.Millisecond
	longestPause  = time.Second
)

// A Buffer writes lines to a file in the background. Each Write is one or more whole
// lines. It is safe for concurrent use.
type Buffer struct {
	out     io.Writer
	limit   int // for ordinary lines
	reserve int // in addition, for important lines
	notice  func(lost int) []byte
	wake    chan struct{} // makes run write immediately
	timer   *time.Timer   // makes run write when it fires
	closing chan struct{}
	ended   chan struct{}

	mu     sync.Mutex
	lines  []byte // accepted, not yet taken by run
	taken  int    // bytes taken by run, not yet written
	lost   int    // lines dropped since the last notice
	total  uint64 // lines dropped since the start
	losing bool   // dropping lines until half of the buffer is free
	state  state
	closed bool
}

// state is what run does.
type state int

const (
	busy      state = iota // writes, or is about to
	idle                   // has nothing to do
	gathering              // waits for more lines
)

// New returns a buffer that writes to out. It holds limit bytes, and an eighth more for
// important lines. The notice function returns the line that reports lost lines; it must
// not write to the buffer.
func New(out io.Writer, limit int, notice func(lost int) []byte) *Buffer {
	b := &Buffer{
		out: out, limit: limit, reserve: limit / 8, notice: notice,
		wake: make(chan struct{}, 1), closing: make(chan struct{}), ended: make(chan struct{}),
		timer: time.NewTimer(time.Hour),
	}
	go b.run()
	return b
}

// Write accepts p or counts it as lost. It never waits and never fails.
func (b *Buffer) Write(p []byte) (int, error) {
	b.add(p, b.limit, false)
	return len(p), nil
}

// Important returns a writer for lines that may use the reserve: they are accepted while
// ordinary ones are being dropped.
func (b *Buffer) Important() io.Writer { return important{b} }

type important struct{ b *Buffer }

func (i important) Write(p []byte) (int, error) {
	i.b.add(p, i.b.limit+i.b.reserve, true)
	return len(p), nil
}

// Expendable returns a writer for lines that may only use half of the buffer, and are
// dropped before any ordinary line is.
func (b *Buffer) Expendable() io.Writer { return expendable{b} }

type expendable struct{ b *Buffer }

func (e expendable) Write(p []byte) (int, error) {
	b := e.b
	b.mu.Lock()
	if full := len(b.lines)+b.taken+len(p) > b.limit/2; full {
		b.drop(p)
		b.mu.Unlock()
		return len(p), nil
	}
	b.mu.Unlock()
	return b.Write(p)
}

func (b *Buffer) add(p []byte, limit int, isImportant bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := len(b.lines) + b.taken
	if b.losing && held <= b.limit/2 {
		b.losing = false
	}
	if b.closed || b.losing && !isImportant || held+len(p) > limit {
		b.drop(p)
		b.losing = true
		return
	}
	b.noteLoss()
	b.lines = append(b.lines, p...)
	b.schedule(isImportant || len(b.lines) >= atomic)
}

// drop counts lines that are not accepted. The caller holds b.mu.
func (b *Buffer) drop(p []byte) {
	n := max(1, bytes.Count(p, []byte("\n")))
	b.lost += n
	b.total += uint64(n)
}

// Lost returns how many lines have been dropped since the start.
func (b *Buffer) Lost() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.total
}

// schedule makes run write now or soon. The caller holds b.mu.
func (b *Buffer) schedule(now bool) {
	switch {
	case b.state == busy:
	case now:
		b.state = busy
		select {
		case b.wake <- struct{}{}:
		default: // run has not received the last one, because the timer was faster
		}
	case b.state == idle:
		b.state = gathering
		b.timer.Reset(gather)
	}
}

// noteLoss adds the notice in the place of the lost lines. The caller holds b.mu.
func (b *Buffer) noteLoss() {
	if b.lost > 0 {
		b.lines = append(b.lines, b.notice(b.lost)...)
		b.lost = 0
	}
}

// Close writes the accepted lines, for at most the timeout, and reports whether all of
// them are written. Later lines are dropped.
func (b *Buffer) Close(timeout time.Duration) bool {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	b.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-b.ended:
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines)+b.taken == 0
}

// run writes until the buffer is closed and empty, or closed and failing.
func (b *Buffer) run() {
	defer close(b.ended)
	var spare []byte
	for {
		batch := b.take(spare)
		if len(batch) == 0 {
			select {
			case <-b.wake:
				continue
			case <-b.timer.C:
				continue
			case <-b.closing:
			}
			if batch = b.take(spare); len(batch) == 0 {
				return
			}
		}
		if !b.write(batch) {
			return
		}
		spare = batch[:0]
		if cap(spare) > keep {
			spare = nil
		}
	}
}

// take returns all accepted lines, and leaves an empty array in their place.
func (b *Buffer) take(empty []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.noteLoss() // no line came after the lost ones
	}
	batch := b.lines
	b.state = idle
	if len(batch) > 0 {
		b.lines, b.state = empty, busy
	}
	b.taken = len(batch)
	return batch
}

// write writes the batch, and retries after errors: a full disk or a restarting reader
// may recover. It returns false if the buffer was closed meanwhile.
func (b *Buffer) write(batch []byte) bool {
	pause := shortestPause
	for len(batch) > 0 {
		n, err := b.out.Write(whole(batch))
		batch = batch[n:]
		b.mu.Lock()
		b.taken = len(batch)
		b.mu.Unlock()
		if err == nil {
			pause = shortestPause
			continue
		}
		select {
		case <-time.After(pause):
		case <-b.closing:
			return false
		}
		pause = min(2*pause, longestPause)
	}
	return true
}

// whole returns as many leading lines as one write does not split, at least one.
func whole(lines []byte) []byte {
	if len(lines) <= atomic {
		return lines
	}
	if i := bytes.LastIndexByte(lines[:atomic], '\n'); i >= 0 {
		return lines[:i+1]
	}
	if i := bytes.IndexByte(lines, '\n'); i >= 0 {
		return lines[:i+1]
	}
	return lines
}

// Package logbuf keeps an unread log from stopping the program.
//
// A [Buffer] takes lines without waiting and writes them in order from
// another goroutine. While the reader is slow, the disk is full or the
// terminal is stopped, lines are kept up to a bound in bytes; those beyond it are
// dropped and counted, and a line in their place says how many were lost.
//
// zerolog's diode was not enough: it is bounded in lines rather than bytes, drops
// what it overwrites (a whole ring when one writer laps the other), ignores errors
// of the file, and its Close waits for as long as the reader does not read.
package logbuf

import (
	"bytes"
	"io"
	"sync"
	"time"
)

const (
	// atomic is PIPE_BUF: a write of at most so many bytes to a pipe is never torn.
	atomic = 4096
	// keep is the largest array that stays allocated while there is nothing to write.
	keep = 64 << 10

	// gather is how long an ordinary line waits for others to be written with it:
	// waking a thread costs more than the write. What a kill -9 loses is no more.
	gather = 10 * time.Millisecond

	shortestPause = 10 * time.Millisecond
	longestPause  = time.Second
)

// A Buffer writes lines to a file in the background. Each call of Write is one or
// more whole lines. It is safe for concurrent use.
type Buffer struct {
	out     io.Writer
	limit   int // for ordinary lines
	reserve int // more, for important ones
	notice  func(lost int) []byte
	wake    chan struct{} // run is to write immediately
	timer   *time.Timer   // run is to write when it fires
	closing chan struct{}
	ended   chan struct{}

	mu     sync.Mutex
	lines  []byte // accepted and not yet taken by run
	taken  int    // bytes that run has taken and not yet written
	lost   int    // lines dropped since the last notice
	losing bool   // dropping until half of the room is free
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

// New returns a buffer of limit bytes in front of out, and as much as an eighth of
// that more for important lines. The notice function returns the line that says how
// many lines were lost; it must not write to the buffer.
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

// Important returns a writer for lines that have a reserve of their own: they are
// accepted when ordinary ones are already being dropped.
func (b *Buffer) Important() io.Writer { return important{b} }

type important struct{ b *Buffer }

func (i important) Write(p []byte) (int, error) {
	i.b.add(p, i.b.limit+i.b.reserve, true)
	return len(p), nil
}

func (b *Buffer) add(p []byte, limit int, isImportant bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	held := len(b.lines) + b.taken
	if b.losing && held <= b.limit/2 {
		b.losing = false
	}
	if b.closed || b.losing && !isImportant || held+len(p) > limit {
		b.lost += max(1, bytes.Count(p, []byte("\n")))
		b.losing = true
		return
	}
	b.noteLoss()
	b.lines = append(b.lines, p...)
	b.schedule(isImportant || len(b.lines) >= atomic)
}

// schedule has run write now, or soon. The caller holds b.mu.
func (b *Buffer) schedule(now bool) {
	switch {
	case b.state == busy:
	case now:
		b.state = busy
		select {
		case b.wake <- struct{}{}:
		default: // not received yet, since the timer was faster
		}
	case b.state == idle:
		b.state = gathering
		b.timer.Reset(gather)
	}
}

// noteLoss puts the notice where the lost lines would be. The caller holds b.mu.
func (b *Buffer) noteLoss() {
	if b.lost > 0 {
		b.lines = append(b.lines, b.notice(b.lost)...)
		b.lost = 0
	}
}

// Close writes what was accepted, for no longer than patience, and reports whether
// all of it is written. Lines that come later are dropped.
func (b *Buffer) Close(patience time.Duration) bool {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.closing)
	}
	b.mu.Unlock()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.ended:
	case <-timer.C:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.lines)+b.taken == 0
}

// run writes until the buffer is closed and empty, or closed and broken.
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

// take returns everything accepted, and leaves an empty array in its place.
func (b *Buffer) take(empty []byte) []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) == 0 {
		b.noteLoss() // nothing came since
	}
	batch := b.lines
	b.state = idle
	if len(batch) > 0 {
		b.lines, b.state = empty, busy
	}
	b.taken = len(batch)
	return batch
}

// write writes the batch, trying again after errors: a full disk or a reader that
// was restarted passes. It reports false if the buffer was closed meanwhile.
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

// whole returns as many of the first lines as can be written without being torn,
// and at least one.
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

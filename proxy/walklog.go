package proxy

import (
	"context"
	"sync"
)

// maxWalkLog bounds the lines of a walk that wait to be written; each holds a
// descriptor.
const maxWalkLog = 16

// A walkLog writes the lines of the files of one directory. A line may need the
// digest of its file, and the reply does not wait for it.
type walkLog struct {
	ctx    context.Context
	rescue func() // deferred while a line is written
	lines  chan func()
	done   chan struct{} // closed when all of lines are written

	mu   sync.Mutex
	rest []func() // for after the reply: there was no time to wait for a place in lines
}

func newWalkLog(ctx context.Context, rescue func()) *walkLog {
	l := &walkLog{ctx: ctx, rescue: rescue, lines: make(chan func(), maxWalkLog), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for write := range l.lines {
			l.write(write)
		}
	}()
	return l
}

func (l *walkLog) write(line func()) {
	defer l.rescue()
	line()
}

// add takes a line. Only while too many wait does it wait as well, and no longer than
// the walk has time.
func (l *walkLog) add(line func()) {
	select {
	case l.lines <- line:
	case <-l.ctx.Done():
		l.mu.Lock()
		l.rest = append(l.rest, line)
		l.mu.Unlock()
	}
}

// finish writes what is left. No line may be added any more.
func (l *walkLog) finish() {
	close(l.lines)
	<-l.done
	for _, line := range l.rest {
		l.write(line)
	}
}

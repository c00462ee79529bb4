package walk

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Guard runs the calls of an unpacking library that cannot be interrupted. A
// RAR 3 archive brings its own programs, which may run for minutes without a
// read (rardecode allows 25 million instructions for each of 8192 filters), and
// LZMA fills a whole dictionary in one call. When the context ends the walk goes on
// and the call is left alone: it gets no byte more, and keeps its slot, so that
// only so many of them can ever burn the processor.
//
// It belongs to the walk's goroutine; only its reader is used by the library's.
type Guard struct {
	ctx  context.Context // see meter
	walk *Walk
	Left bool // the last call has not come back
	// buffer is for what the library unpacks: not for others, which a call that
	// was left alone might still write to.
	buffer []byte

	mu   sync.Mutex // also keeps the walk still while the library reads
	dead bool
}

var (
	ErrLeft  = errors.New("the library was left alone")
	errPanic = errors.New("the library panicked")
	errCount = errors.New("the library read an impossible number of bytes")
)

// Slots are how many libraries may run at a time.
type Slots struct {
	taken chan struct{}
	left  atomic.Int32 // of these by calls that were left alone
}

// patience is how long a slot is waited for that calls have which were left
// alone: most come back immediately, but some may never.
const patience = 200 * time.Millisecond

// InUse returns how many are taken.
func (s *Slots) InUse() int { return len(s.taken) }

// NewSlots makes slots for n libraries.
func NewSlots(n int) *Slots { return &Slots{taken: make(chan struct{}, n)} }

// slot is what a walk has of the slots: one at most, however deep archives lie
// within each other, or two walks might wait for each other.
type slot struct {
	users int
	left  bool // it is a call's that was left alone
}

// Guard takes a slot, or waits for one.
func (w *Walk) Guard(ctx context.Context) (*Guard, error) {
	if w.stop != nil {
		return nil, w.stop
	}
	if w.slots != nil && w.slot.users == 0 {
		var enough <-chan time.Time
		if int(w.slots.left.Load()) >= cap(w.slots.taken) {
			enough = time.After(patience)
		}
		select {
		case w.slots.taken <- struct{}{}:
		case <-enough:
			w.Note("MaxTime", "of other scans")
			return nil, ErrLeft
		case <-ctx.Done():
			w.stop = context.Cause(ctx)
			return nil, w.stop
		}
	}
	w.slot.users++
	return &Guard{ctx: ctx, walk: w}, nil
}

// Close gives the slot back, unless others use it or a call still has it.
func (g *Guard) Close() {
	w := g.walk
	w.slot.users--
	if w.slots != nil && w.slot.users == 0 && !w.slot.left {
		<-w.slots.taken
	}
}

// Call runs f in its own goroutine. f must not touch the walk, nor memory
// that is used again.
func (g *Guard) Call(f func() error) error {
	if g.Left {
		return ErrLeft
	}
	done := make(chan error, 1)
	go func() {
		err := errPanic
		defer func() {
			if recover() != nil {
				err = errPanic
			}
			done <- err
		}()
		err = f()
	}()
	select {
	case err := <-done:
		return err
	case <-g.ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dead, g.Left = true, true
	if g.walk.stop == nil {
		g.walk.stop = context.Cause(g.ctx)
	}
	g.walk.slot.left = true
	if s := g.walk.slots; s != nil {
		s.left.Add(1)
		go func() {
			<-done
			s.left.Add(-1)
			<-s.taken
		}()
	}
	return ErrLeft
}

// ReaderAt is s for the library.
func (g *Guard) ReaderAt(s *Section) io.ReaderAt { return &guardedReaderAt{g, s} }

type guardedReaderAt struct {
	guard *Guard
	from  *Section
}

// ReadAt implements [io.ReaderAt].
func (r *guardedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	r.guard.mu.Lock()
	defer r.guard.mu.Unlock()
	if r.guard.dead {
		return 0, ErrLeft
	}
	return r.from.ReadAt(p, off)
}

// guardedReader reads what a library unpacks.
type guardedReader struct {
	guard *Guard
	from  io.Reader
	rest  []byte
	err   error
}

// Reader reads from. Only one is in use at a time.
func (g *Guard) Reader(from io.Reader) *guardedReader {
	if g.buffer == nil {
		g.buffer = make([]byte, 32<<10)
	}
	return &guardedReader{guard: g, from: from}
}

// Read implements [io.Reader].
func (r *guardedReader) Read(p []byte) (int, error) {
	for tries := 0; len(r.rest) == 0; tries++ {
		if r.err != nil {
			return 0, r.err
		}
		if tries > 100 {
			return 0, io.ErrNoProgress
		}
		n := 0
		err := r.guard.Call(func() (err error) {
			n, err = r.from.Read(r.guard.buffer)
			return err
		})
		if errors.Is(err, ErrLeft) || errors.Is(err, errPanic) {
			// n and the buffer may still be the library's.
			r.err = err
			return 0, err
		}
		if n < 0 || n > len(r.guard.buffer) {
			r.err = errCount
			return 0, errCount
		}
		r.rest, r.err = r.guard.buffer[:n], err
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

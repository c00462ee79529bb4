package walk

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"polyclam/backends/internal/ended"
)

// Guard runs calls into unpacking libraries, which cannot be interrupted. A RAR 3 archive
// contains programs, which may run for minutes without reading (rardecode allows 25
// million instructions for each of 8192 filters), and LZMA fills a whole dictionary in
// one call. When the context ends, the walk continues and the call is abandoned: it gets
// no more bytes and keeps its slot, so that only a limited number of such calls can burn
// CPU time.
//
// A Guard belongs to the walk's goroutine; the library's goroutine uses only its reader.
type Guard struct {
	ctx       context.Context // see meter
	walk      *Walk
	Abandoned bool // the last call did not return in time
	// buffer receives what the library unpacks. It is never reused elsewhere, because an
	// abandoned call might still write to it.
	buffer []byte

	mu   sync.Mutex // also blocks the walk while the library reads
	dead bool
}

var (
	ErrAbandoned = errors.New("the library call was abandoned")
	errPanic     = errors.New("the library panicked")
	errCount     = errors.New("the library read an impossible number of bytes")
)

// Slots limits how many library calls run concurrently.
type Slots struct {
	taken     chan struct{}
	abandoned atomic.Int32 // how many of them belong to abandoned calls
}

// slotTimeout is how long a walk waits for a slot when all of them belong to abandoned
// calls. Most of those return soon, but some may never return.
const slotTimeout = 200 * time.Millisecond

// InUse returns the number of taken slots.
func (s *Slots) InUse() int { return len(s.taken) }

// NewSlots allows n concurrent library calls.
func NewSlots(n int) *Slots { return &Slots{taken: make(chan struct{}, n)} }

// slot is a walk's share of the slots: at most one, however deeply archives nest, because
// two walks that each wait for a second slot would deadlock.
type slot struct {
	users     int
	abandoned bool // it belongs to an abandoned call
}

// Guard takes a slot, waiting if none is free.
func (w *Walk) Guard(ctx context.Context) (*Guard, error) {
	if w.stop != nil {
		return nil, w.stop
	}
	if w.slots != nil && w.slot.users == 0 {
		var timeout <-chan time.Time
		if int(w.slots.abandoned.Load()) >= cap(w.slots.taken) {
			timeout = time.After(slotTimeout)
		}
		select {
		case w.slots.taken <- struct{}{}:
		case <-timeout:
			w.Note("MaxTime", "of other scans")
			return nil, ErrAbandoned
		case <-ctx.Done():
			w.stop = ended.Context(ctx)
			return nil, w.stop
		}
	}
	w.slot.users++
	return &Guard{ctx: ctx, walk: w}, nil
}

// Close releases the slot, unless other guards of the walk use it or an abandoned call
// holds it.
func (g *Guard) Close() {
	w := g.walk
	w.slot.users--
	if w.slots != nil && w.slot.users == 0 && !w.slot.abandoned {
		<-w.slots.taken
	}
}

// Call runs f in its own goroutine. f must not touch the walk or any reused memory.
func (g *Guard) Call(f func() error) error {
	if g.Abandoned {
		return ErrAbandoned
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
	g.dead, g.Abandoned = true, true
	if g.walk.stop == nil {
		g.walk.stop = ended.Context(g.ctx)
	}
	g.walk.slot.abandoned = true
	if s := g.walk.slots; s != nil {
		s.abandoned.Add(1)
		go func() {
			<-done
			s.abandoned.Add(-1)
			<-s.taken
		}()
	}
	return ErrAbandoned
}

// ReaderAt returns s for use by the library.
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
		return 0, ErrAbandoned
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

// Reader guards the reads of from. Only one such reader may be in use.
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
		if errors.Is(err, ErrAbandoned) || errors.Is(err, errPanic) {
			// The library may still write to n and the buffer.
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

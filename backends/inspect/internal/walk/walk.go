// Package walk goes through a container and all that is in it. It owns what the
// detectors share: the budgets, the sections that they read, the memory, and the
// guard around libraries. Every kind of container has its own package with a
// [Detector]; package inspect puts them in order.
//
// # A detector
//
// Match is called for every section, often: it looks at Section.Head and decides
// by a signature, cheaply. Of a compressed member it sees only the head; then
// Section.ReaderAt is nil. Look is called if Match says yes. It reads the section,
// whose ReaderAt pays for every byte out of the budget, and returns
//
//   - a [Sighting] for the first thing that is encrypted, made by [NewSighting] or
//     of a member's by [Sighting.Within];
//   - nil if there is none, or if the bytes only looked like the container;
//   - an error for the same: it is no opinion. What stops the walk (the context,
//     a budget, an object that cannot be read) is in [Walk.Stopped], and a loop ends
//     when that is not nil.
//
// What it knows and cannot look into it reports by [Walk.Miss], with one of the
// findings Unscanned*, or by [Walk.Note] for a limit. Then the result is partial
// unless something encrypted is seen.
//
// # Members
//
// A member that lies in its container as it is: [Walk.Stored]. A compressed one:
// [Walk.Unpacker] with a reader of what comes out, then [Walk.Unpacked]. Both
// return nil for a member that no detector wants; else [Walk.Look] looks into it:
//
//	inner, err := w.Unpacked(s, w.Unpacker(ctx, r), size)
//	if err == nil {
//		seen = w.Look(ctx, inner).Within("gzip", name)
//	}
//
// Archives that are lists of members, and files that are one compressed stream: see
// package archive. What may follow something else in a file: see [Signed].
//
// # Numbers in the file
//
// Nothing is allocated by a number in the file before it has been paid for:
// [Walk.Spend] permanently, [Walk.Borrow] for memory that is given back. Every loop
// reads from the section, or writes what is paid for, and so ends with the
// context. A library that may go on without either runs in a [Guard], which
// leaves it alone when the time is over, but only if it is sure to end some time.
package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A Detector knows one kind of container.
type Detector interface {
	// Match reports whether s may be such a container, judged by its head and by
	// what else it can read: the ReaderAt of a member that is not unpacked yet is
	// nil.
	Match(w *Walk, s *Section) bool
	// Look searches the container for something encrypted. An error is no
	// opinion, unless the walk has been stopped.
	Look(ctx context.Context, w *Walk, s *Section) (*Sighting, error)
}

// A Deep is a detector that may need more than the head to match a member that is
// not unpacked yet.
type Deep interface {
	Detector
	// Needs returns how many bytes it needs, up to MaxDeep, if this may be the head
	// of one, else 0.
	Needs(head []byte) int
}

// MaxDeep is the most that a member is unpacked for before it has matched.
const MaxDeep = 48 << 10

// HeadSize is how much of a container detectors are shown to match: the header
// of a PDF may be anywhere in the first 1024 bytes.
const HeadSize = 1024

// Section is an object, or a member of a container.
type Section struct {
	io.ReaderAt // metered: every byte read is paid for
	Size        int64
	Depth       int
	Head        []byte
	// Attached says that it is attached to a mail, whose reader gets it as a file.
	Attached bool
	cheap    bool           // reading it costs no more than has been paid
	searched bool           // for the signatures at places,
	places   []place        // in this order
	members  map[int64]bool // where stored members begin that have been looked into
}

// Gap is why something could not be looked into: it makes the result partial.
type Gap struct{ Name, Detail string }

// Error implements error.
func (g *Gap) Error() string { return g.Detail }

// limitReached says which budget ran out.
func limitReached(what string, value any) *Gap {
	return &Gap{findingLimit + what, fmt.Sprintf("limit reached: %s %v", what, value)}
}

// ErrMaxTime is the cause of a context whose time is over.
var ErrMaxTime = limitReached("MaxTime", "of the configuration")

// Walk goes through one object and all that is in it, and keeps its budgets.
// It belongs to one goroutine.
type Walk struct {
	Limits    Limits
	detectors []Detector
	bytes     int64 // left
	members   int   // left
	noted     error // the first reason why one member was not looked into
	stop      error // why everything is over; set once, then no read succeeds
	scratch   *Scratch
	slots     *Slots // see guard; nil is no limit
	slot      slot
}

// New begins a walk. slots may be nil, which is no limit.
func New(l Limits, detectors []Detector, slots *Slots, s *Scratch) *Walk {
	return &Walk{Limits: l, detectors: detectors, slots: slots, bytes: l.MaxBytes, members: l.MaxMembers, scratch: s}
}

// Result says what became of the walk: an error if the object could not be read
// or the context has ended, else why something could not be looked into, if
// anything.
func (w *Walk) Result() (*Gap, error) {
	var g *Gap
	if errors.As(w.stop, &g) || w.stop == nil && errors.As(w.noted, &g) {
		return g, nil
	}
	return nil, w.stop
}

// Stopped says why the walk is over, or nil.
func (w *Walk) Stopped() error { return w.stop }

// Header returns n bytes for small headers, up to localSize, which are the
// caller's until the next call.
func (w *Walk) Header(n int64) []byte { return w.scratch.local[:n] }

// Buffer returns n bytes, which are the caller's until the next call of buffer or
// end. n is never a number from the object.
func (w *Walk) Buffer(n int64) []byte { return w.scratch.buffer(n) }

// End returns the last n bytes of a section, at most all of it. They are the
// caller's until the next call of buffer or end.
func (w *Walk) End(s *Section, n int64) ([]byte, error) {
	b := w.Buffer(min(n, s.Size))
	return b, ReadFull(s, b, s.Size-int64(len(b)))
}

// Release lets go of the object, and returns the memory for the next walk.
func (w *Walk) Release() *Scratch {
	w.scratch.release()
	return w.scratch
}

// Section makes a section at the top of r.
func (w *Walk) Section(ctx context.Context, r io.ReaderAt, size int64) *Section {
	return &Section{ReaderAt: &meter{ctx: ctx, walk: w, from: r, size: size}, Size: size}
}

// meter makes every read count. It keeps a context because [io.ReaderAt] has
// none; it lives no longer than the scan.
type meter struct {
	ctx  context.Context
	walk *Walk
	from io.ReaderAt
	size int64
}

// ReadAt implements [io.ReaderAt]. An object that cannot be read stops the walk:
// that is a failure, not a broken container.
func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > m.size {
		return 0, io.EOF
	}
	wanted := min(int64(len(p)), m.size-off)
	if err := m.walk.Spend(m.ctx, wanted); err != nil {
		return 0, err
	}
	n, err := m.from.ReadAt(p[:wanted], off)
	if int64(n) < wanted {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		m.walk.stop = fmt.Errorf("content: %w", err)
		return n, m.walk.stop
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFull reads len(p) bytes at off; anything less is an error, because the
// object promised its size.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("content: %w", err)
}

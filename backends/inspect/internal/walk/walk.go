// Package walk inspects a container and everything nested in it. It provides what the
// detectors share: budgets, the sections they read, memory, and the guard around
// libraries. Each container family has its own package with a [Detector]; package inspect
// lists them in order.
//
// # A detector
//
// Match is called for every section and must be cheap: it checks Section.Head for a
// signature. Of a compressed member it sees only the head, and Section.ReaderAt is nil.
// If Match returns true, Look is called. It reads the section, whose ReaderAt charges
// every byte to the budget, and returns
//
//   - a [Sighting] of the first encrypted part, from [NewSighting], or from
//     [Sighting.Within] for a member's;
//   - nil if nothing is encrypted, or if the bytes only looked like the container;
//   - an error, which also means no opinion. [Walk.Stopped] reports what stops the walk
//     (the context, a budget, an unreadable object); loops must end when it is not nil.
//
// A detector that recognises something but cannot inspect it calls [Walk.Miss] with one
// of the Unscanned* findings, or [Walk.Note] for a limit. The result is then partial,
// unless something encrypted turns up.
//
// # Members
//
// For a member that is stored uncompressed, call [Walk.Stored]. For a compressed one,
// call [Walk.Unpacker] with a reader of the unpacked bytes, then [Walk.Unpacked]. Both
// return nil for a member that no detector wants; otherwise [Walk.Look] inspects it:
//
//	inner, err := w.Unpacked(s, w.Unpacker(ctx, r), size)
//	if err == nil {
//		seen = w.Look(ctx, inner).Within("gzip", name)
//	}
//
// Package archive has ready-made detectors for archives that are lists of members and
// for files that are one compressed stream. For formats that may follow something else
// in a file, see [Signed].
//
// # Numbers in the file
//
// A number in the file never causes an allocation before it has been paid for:
// permanently with [Walk.Spend], or with [Walk.Borrow] for memory that is returned. Every
// loop reads from the section or produces charged output, and so ends with the context. A
// library call that may do neither for a long time runs in a [Guard], which abandons the
// call when time is up. The call must still end eventually.
package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A Detector recognises one kind of container.
type Detector interface {
	// Match reports whether s may be such a container, judging by its head and whatever
	// else is readable: a member that is not yet unpacked has a nil ReaderAt.
	Match(w *Walk, s *Section) bool
	// Look searches the container for something encrypted. An error means no opinion,
	// unless the walk has been stopped.
	Look(ctx context.Context, w *Walk, s *Section) (*Sighting, error)
}

// A DeepDetector may need more than the head to recognise a member that is not yet
// unpacked.
type DeepDetector interface {
	Detector
	// Needs returns how many bytes the detector needs, up to MaxDeep, if head may
	// belong to such a container, else 0.
	Needs(head []byte) int
}

// MaxDeep is the most that is unpacked of a member before a detector matches.
const MaxDeep = 48 << 10

// HeadSize is how much of a container Match sees: a PDF header may be anywhere in the
// first 1024 bytes.
const HeadSize = 1024

// Section is an object or a member of a container.
type Section struct {
	io.ReaderAt // metered: every byte read is charged
	Size        int64
	Depth       int
	Head        []byte
	// Attached means that this is a mail attachment, which the reader gets as a file.
	Attached bool
	prepaid  bool           // reading it has been paid for
	searched bool           // places is complete
	places   []place        // signatures found, by offset
	members  map[int64]bool // offsets of stored members that have been inspected
}

// A Gap is something that could not be inspected, and makes the result partial.
type Gap struct{ Name, Detail string }

// Error implements error.
func (g *Gap) Error() string { return g.Detail }

// limitReached is the gap left by an exhausted budget.
func limitReached(what string, value any) *Gap {
	return &Gap{findingLimit + what, fmt.Sprintf("limit reached: %s %v", what, value)}
}

// ErrMaxTime is the cause of a context that ended because of max_time.
var ErrMaxTime = limitReached("MaxTime", "of the configuration")

// Walk inspects one object and everything nested in it, within the budgets. It belongs to
// one goroutine.
type Walk struct {
	Limits    Limits
	detectors []Detector
	bytes     int64 // remaining
	members   int   // remaining
	noted     error // the first reason why a single member was not inspected
	stop      error // why the walk ended; set once, then every read fails
	scratch   *Scratch
	slots     *Slots // see Guard; nil means no limit
	slot      slot
}

// New starts a walk. Nil slots mean no limit.
func New(l Limits, detectors []Detector, slots *Slots, s *Scratch) *Walk {
	return &Walk{Limits: l, detectors: detectors, slots: slots, bytes: l.MaxBytes, members: l.MaxMembers, scratch: s}
}

// Result returns an error if the object could not be read or the context ended, otherwise
// the first gap, if any.
func (w *Walk) Result() (*Gap, error) {
	var g *Gap
	if errors.As(w.stop, &g) || w.stop == nil && errors.As(w.noted, &g) {
		return g, nil
	}
	return nil, w.stop
}

// Stopped returns why the walk ended, or nil while it continues.
func (w *Walk) Stopped() error { return w.stop }

// Header returns a buffer of n bytes, up to localSize, for small headers. It is valid until
// the next call.
func (w *Walk) Header(n int64) []byte { return w.scratch.local[:n] }

// Buffer returns n bytes, valid until the next call of Buffer or End. n never comes from
// the object.
func (w *Walk) Buffer(n int64) []byte { return w.scratch.buffer(n) }

// End returns up to n bytes from the end of s, valid until the next call of Buffer or End.
func (w *Walk) End(s *Section, n int64) ([]byte, error) {
	b := w.Buffer(min(n, s.Size))
	return b, ReadFull(s, b, s.Size-int64(len(b)))
}

// Release drops all references to the object and returns the memory for the next walk.
func (w *Walk) Release() *Scratch {
	w.scratch.release()
	return w.scratch
}

// Section returns the top-level section, which reads from r.
func (w *Walk) Section(ctx context.Context, r io.ReaderAt, size int64) *Section {
	return &Section{ReaderAt: &meter{ctx: ctx, walk: w, from: r, size: size}, Size: size}
}

// meter charges for every read. It holds a context because [io.ReaderAt] takes none; it
// does not outlive the scan.
type meter struct {
	ctx  context.Context
	walk *Walk
	from io.ReaderAt
	size int64
}

// ReadAt implements [io.ReaderAt]. An unreadable object stops the walk: that is a failure,
// not a broken container.
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
		m.walk.stop = fmt.Errorf("read object: %w", err)
		return n, m.walk.stop
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// ReadFull reads len(p) bytes at off. Fewer bytes are an error, because the object's size
// is known.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read object: %w", err)
}

package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// A detector knows one kind of container.
type detector interface {
	// match reports whether s may be such a container, judged by its head and by
	// what else it can read: the ReaderAt of a member that is not unpacked yet is
	// nil.
	match(w *walk, s *section) bool
	// look searches the container for something encrypted. An error is no
	// opinion, unless the walk has been stopped.
	look(ctx context.Context, w *walk, s *section) (*sighting, error)
}

// detectors are asked in this order. A ZIP may have anything before it: what knows
// its beginning comes first, and tells better where it is.
var detectors = []detector{
	rarDetector{},
	sevenDetector{},
	pdfDetector{},
	oleDetector{},
	mailDetector{},
	textDetector{},
	pgpDetector{},
	smimeDetector{},
	gzipDetector{},
	bzip2Detector{},
	tarDetector{},
	tnefDetector{},
	eggDetector{},
	alzDetector{},
	arjDetector{},
	aceDetector{},
	zipDetector{},
	magicDetector{},
}

// headSize is how much of a container detectors are shown to match: the header
// of a PDF may be anywhere in the first 1024 bytes.
const headSize = 1024

// section is a content, or a member of a container.
type section struct {
	io.ReaderAt // metered: every byte read is paid for
	size        int64
	depth       int
	head        []byte
	cheap       bool // reading it costs no more than has been paid
}

// gap is why something could not be looked into: it makes the result partial.
type gap struct{ name, detail string }

// Error implements error.
func (g *gap) Error() string { return g.detail }

// limitReached says which budget ran out.
func limitReached(what string, value any) *gap {
	return &gap{findingLimit + what, fmt.Sprintf("limit reached: %s %v", what, value)}
}

var errMaxTime = limitReached("MaxTime", "of the configuration")

// walk goes through one content and all that is in it, and keeps its budgets.
// It belongs to one goroutine.
type walk struct {
	config  *Config
	bytes   int64 // left
	members int   // left
	noted   error // the first reason why one member was not looked into
	stop    error // why everything is over; set once, then no read succeeds
	scratch *scratch
	slots   *slots // see guard; nil is no limit
	slot    slot
}

func newWalk(c *Config, s *scratch) *walk {
	return &walk{config: c, bytes: int64(c.MaxBytes), members: c.MaxMembers, scratch: s}
}

// spend takes n bytes off the budget.
func (w *walk) spend(ctx context.Context, n int64) error {
	switch {
	case w.stop != nil:
	case ctx.Err() != nil:
		w.stop = context.Cause(ctx)
	case n > w.bytes:
		w.stop = limitReached("MaxBytes", int64(w.config.MaxBytes))
	default:
		w.bytes -= n
	}
	return w.stop
}

// enter takes a member off the budget.
func (w *walk) enter() error {
	if w.stop == nil && w.members <= 0 {
		w.stop = limitReached("MaxMembers", w.config.MaxMembers)
	}
	w.members--
	return w.stop
}

// note remembers a limit that kept us from one member only.
func (w *walk) note(what string, value any) {
	if w.noted == nil {
		w.noted = limitReached(what, value)
	}
}

// miss remembers that something could not be looked into for a reason of its
// own: finding is one of those that begin with Heuristics.Unscanned.
func (w *walk) miss(finding, detail string) { w.missed(&gap{finding, detail}) }

func (w *walk) missed(g *gap) {
	if w.noted == nil {
		w.noted = g
	}
}

// borrow takes n bytes of memory off the budget, and gives most of them back
// when release is called: making memory costs time too.
func (w *walk) borrow(ctx context.Context, n int64) (release func(), err error) {
	if err := w.spend(ctx, n); err != nil {
		return nil, err
	}
	return func() { w.bytes += n - n/borrowCost }, nil
}

// borrowCost is the part of borrowed memory that is paid for good.
const borrowCost = 32

// section makes a section at the top of r.
func (w *walk) section(ctx context.Context, r io.ReaderAt, size int64) *section {
	return &section{ReaderAt: &meter{ctx: ctx, walk: w, from: r, size: size}, size: size}
}

// look asks all detectors that s matches. The walk's stop says whether no
// sighting means that there is nothing.
func (w *walk) look(ctx context.Context, s *section) *sighting {
	if s == nil {
		return nil
	}
	if s.head == nil {
		s.head = make([]byte, min(headSize, s.size))
		if err := readFull(s, s.head, 0); err != nil {
			return nil
		}
	}
	for _, d := range detectors {
		if w.stop != nil {
			return nil
		}
		if seen := w.ask(ctx, d, s); seen != nil {
			return seen
		}
	}
	return nil
}

// ask asks one detector. It parses hostile bytes: if it panics, it has no
// opinion.
func (w *walk) ask(ctx context.Context, d detector, s *section) (seen *sighting) {
	defer func() {
		if recover() != nil {
			seen = nil
			w.scratch = new(scratch)
		}
	}()
	if !d.match(w, s) {
		return nil
	}
	if s.depth >= w.config.MaxDepth {
		w.note("MaxDepth", w.config.MaxDepth)
		return nil
	}
	seen, err := d.look(ctx, w, s)
	if err != nil {
		return nil
	}
	return seen
}

// matches reports whether a detector would look into a member with this head.
func (w *walk) matches(s *section) bool {
	for _, d := range detectors {
		if d.match(w, s) {
			return true
		}
	}
	return false
}

// meter makes every read count. It keeps a context because [io.ReaderAt] has
// none; it lives no longer than the scan.
type meter struct {
	ctx  context.Context
	walk *walk
	from io.ReaderAt
	size int64
}

// ReadAt implements [io.ReaderAt]. A content that cannot be read stops the walk:
// that is a failure, not a broken container.
func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off > m.size {
		return 0, io.EOF
	}
	wanted := min(int64(len(p)), m.size-off)
	if err := m.walk.spend(m.ctx, wanted); err != nil {
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

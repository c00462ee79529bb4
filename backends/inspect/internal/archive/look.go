package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// ErrFormat is the error for a file that only begins like the format.
var ErrFormat = errors.New("wrong format")

// MethodError names an unsupported compression method or feature.
type MethodError string

// Error implements error.
func (e MethodError) Error() string { return string(e) }

// SplitError says that part of an archive is in another file.
type SplitError string

// Error implements error.
func (e SplitError) Error() string { return string(e) }

// Look inspects all members of the archive in s. Whatever cannot be inspected makes the
// result partial.
func Look(ctx context.Context, w *walk.Walk, s *walk.Section, container string, members Members) (*walk.Sighting, error) {
	for m, err := range members {
		switch {
		case w.Stopped() != nil:
			return nil, w.Stopped()
		case err != nil:
			miss(w, container, m.Name, err)
			continue
		}
		if seen := lookInto(ctx, w, s, container, m); seen != nil || w.Stopped() != nil {
			return seen.Within(container, m.Name), w.Stopped()
		}
	}
	return nil, nil
}

// lookInto inspects one member.
func lookInto(ctx context.Context, w *walk.Walk, s *walk.Section, container string, m Member) *walk.Sighting {
	if m.Data == nil {
		inner, _ := w.Stored(s, m.Offset, m.Size) // an error has also stopped the walk
		return w.Look(ctx, inner)
	}
	u := w.Unpacker(ctx, m.Data)
	inner, _ := w.Unpacked(s, u, m.Size) // an error has also stopped the walk, or is in u.Failed
	if failed := u.Failed(); failed != nil && w.Stopped() == nil {
		miss(w, container, m.Name, failed)
	}
	// Inspect what was unpacked, even if the member is damaged.
	return w.Look(ctx, inner)
}

// LookStored inspects a member that is in one piece in s. If the member is compressed (not
// stored), it only records that it cannot.
func LookStored(ctx context.Context, w *walk.Walk, s *walk.Section, container string, m Member, stored bool) (*walk.Sighting, error) {
	if m.Size < walk.SmallestContainer {
		return nil, w.Stopped()
	}
	if m.Size > s.Size-m.Offset {
		miss(w, container, m.Name, ErrCutOff)
	}
	if !stored {
		miss(w, container, m.Name, MethodError("packed, which is not supported"))
		return nil, w.Stopped()
	}
	seen := lookInto(ctx, w, s, container, m)
	return seen.Within(container, m.Name), w.Stopped()
}

// Damaged records that the rest of an archive cannot be read.
func Damaged(w *walk.Walk, container string) { miss(w, container, "", errHeader) }

var errHeader = errors.New("damaged header")

// Opener returns a reader of a file's unpacked bytes. The reader may have a method Name
// that returns the original file name.
type Opener func(r io.ReaderAt, size int64, charge Charge) io.Reader

// Confidence says how sure a detector is of the format. When a file cannot be unpacked, the
// result is partial
type Confidence int

const (
	Guess   Confidence = iota // only if a container was unpacked from it
	Likely                    // also if it is cut off
	Certain                   // always: the format has a signature
)

// Stream inspects the file in s, which is one compressed stream.
func Stream(ctx context.Context, w *walk.Walk, s *walk.Section, container string, confidence Confidence, open Opener) (*walk.Sighting, error) {
	m := &memory{ctx: ctx, walk: w}
	from := open(s, s.Size, m.charge)
	u := w.Unpacker(ctx, from)
	inner, _ := w.Unpacked(s, u, -1) // an error has also stopped the walk, or is in u.Failed
	m.release()
	if w.Stopped() != nil {
		return nil, w.Stopped()
	}
	if failed := u.Failed(); failed != nil {
		if confidence == Certain || inner != nil || confidence == Likely && errors.Is(failed, ErrCutOff) {
			miss(w, container, "", failed)
		}
	}
	name := ""
	if from, ok := from.(interface{ Name() string }); ok {
		name = from.Name()
	}
	// Inspect what was unpacked, even if the file is damaged.
	return w.Look(ctx, inner).Within(container, name), w.Stopped()
}

// errMemory ends unpacking when it needs more memory than the budget has.
var errMemory = errors.New("not enough memory")

// memory borrows from the walk's budget.
type memory struct {
	ctx      context.Context // lives as long as one Stream call
	walk     *walk.Walk
	giveBack func()
}

// charge implements [Charge].
func (m *memory) charge(n int64) error {
	m.release()
	if n > m.walk.BytesLeft() {
		m.walk.Note("MaxBytes", m.walk.Limits.MaxBytes)
		return errMemory
	}
	var err error
	m.giveBack, err = m.walk.Borrow(m.ctx, n)
	return err
}

func (m *memory) release() {
	if m.giveBack != nil {
		m.giveBack()
		m.giveBack = nil
	}
}

// miss records that an archive or one of its members could not be inspected.
func miss(w *walk.Walk, container, member string, err error) {
	finding := walk.UnscannedBroken
	var method MethodError
	var split SplitError
	switch {
	case errors.Is(err, ErrFormat), errors.Is(err, errMemory):
		return
	case errors.Is(err, ErrCutOff), errors.Is(err, io.ErrUnexpectedEOF):
		finding, err = walk.UnscannedCutOff, ErrCutOff
	case errors.As(err, &method):
		finding = walk.UnscannedMethod
	case errors.As(err, &split):
		finding = walk.UnscannedSplit
	}
	detail := container + ": " + err.Error()
	if member != "" {
		detail = fmt.Sprintf("member %q in %s: %v", walk.Cut(member, walk.MaxName), container, err)
	}
	w.Miss(finding, walk.Cut(detail, walk.MaxDetail))
}

package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// ErrOther is the error of what only looks like an archive at its beginning.
var ErrOther = errors.New("not such a file")

// MethodError says with what something is packed that is not supported.
type MethodError string

// Error implements error.
func (e MethodError) Error() string { return string(e) }

// SplitError says that a part of an archive is in another file.
type SplitError string

// Error implements error.
func (e SplitError) Error() string { return string(e) }

// Look looks into all members of the archive in s. What it cannot look into makes
// the walk's result partial.
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

// lookInto looks into one member.
func lookInto(ctx context.Context, w *walk.Walk, s *walk.Section, container string, m Member) *walk.Sighting {
	if m.Data == nil {
		inner, _ := w.Stored(s, m.Offset, m.Size) // an error has stopped the walk
		return w.Look(ctx, inner)
	}
	u := w.Unpacker(ctx, m.Data)
	inner, _ := w.Unpacked(s, u, m.Size) // an error has stopped the walk, or is u's
	if failed := u.Failed(); failed != nil && w.Stopped() == nil {
		miss(w, container, m.Name, failed)
	}
	// What has come out is looked into even where the member is broken.
	return w.Look(ctx, inner)
}

// LookStored looks into a member that is one piece of the archive in s, and says that
// it cannot if the member is packed.
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

// Damaged says that no more of an archive can be read.
func Damaged(w *walk.Walk, container string) { miss(w, container, "", errHeader) }

var errHeader = errors.New("damaged header")

// Opener returns the unpacked bytes of a file. The reader may have a method Name
// that returns the name which the file says that it had.
type Opener func(r io.ReaderAt, size int64, charge Charge) io.Reader

// Trust says how sure a detector is that a file is what it looks like. The walk's
// result is partial if it cannot be unpacked, and
type Trust int

const (
	Guess   Trust = iota // a container came out of it
	Likely               // that, or it is cut off
	Certain              // in any case: it has a signature
)

// Stream looks into the file in s, which is packed as a whole.
func Stream(ctx context.Context, w *walk.Walk, s *walk.Section, container string, trust Trust, open Opener) (*walk.Sighting, error) {
	m := &memory{ctx: ctx, walk: w}
	from := open(s, s.Size, m.charge)
	u := w.Unpacker(ctx, from)
	inner, _ := w.Unpacked(s, u, -1) // an error has stopped the walk, or is u's
	m.release()
	if w.Stopped() != nil {
		return nil, w.Stopped()
	}
	if failed := u.Failed(); failed != nil {
		if trust == Certain || inner != nil || trust == Likely && errors.Is(failed, ErrCutOff) {
			miss(w, container, "", failed)
		}
	}
	name := ""
	if from, ok := from.(interface{ Name() string }); ok {
		name = from.Name()
	}
	// What has come out is looked into even where the file is broken.
	return w.Look(ctx, inner).Within(container, name), w.Stopped()
}

// errMemory ends what would need more memory than is left.
var errMemory = errors.New("not enough memory")

// memory borrows from the walk.
type memory struct {
	ctx      context.Context // of the one call that it is for
	walk     *walk.Walk
	giveBack func()
}

// charge is a [Charge].
func (m *memory) charge(n int64) error {
	m.release()
	if n > m.walk.Left() {
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

// miss remembers that an archive, or its member, could not be looked into.
func miss(w *walk.Walk, container, member string, err error) {
	finding := walk.UnscannedBroken
	var method MethodError
	var split SplitError
	switch {
	case errors.Is(err, ErrOther), errors.Is(err, errMemory):
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

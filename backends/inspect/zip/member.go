package zip

import (
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/inflate64"
	"polyclam/backends/inspect/internal/lzma"
	"polyclam/backends/inspect/internal/walk"
)

// The supported compression methods (4.4.5).
const (
	methodStored    = 0
	methodDeflate   = 8
	methodDeflate64 = 9
	methodBZip2     = 12
	methodLZMA      = 14
	methodZstandard = 93
	methodXZ        = 95
)

// methods names unsupported methods for the operator.
var methods = map[uint16]string{
	1: "shrink", 2: "reduce", 3: "reduce", 4: "reduce", 5: "reduce", 6: "implode", 10: "PKWARE DCL", 18: "TERSE", 19: "LZ77",
	93: "Zstandard", 94: "MP3", 95: "xz", 96: "JPEG", 97: "WavPack", 98: "PPMd",
}

// look inspects a member. If the local header and the directory name different methods,
// both are tried, because programs differ in which one they use.
func (m member) look(ctx context.Context, w *walk.Walk, s *walk.Section) *walk.Sighting {
	seen := m.unpack(ctx, w, s)
	if seen == nil && m.other != m.method && w.Stopped() == nil {
		m.method = m.other
		seen = m.unpack(ctx, w, s)
	}
	return seen
}

// unpack inspects a member using one method.
func (m member) unpack(ctx context.Context, w *walk.Walk, s *walk.Section) *walk.Sighting {
	if m.method == methodStored {
		inner, err := w.Stored(s, m.at, m.size)
		if err != nil {
			return nil
		}
		if m.cut && inner != nil {
			w.Miss(walk.UnscannedCutOff, "zip: a member is cut off")
		}
		return w.Look(ctx, inner)
	}
	if m.method == methodXZ || m.method == methodZstandard {
		// The member is an xz or Zstandard file, which has its own detector.
		if inner, err := w.Stored(s, m.at, m.size); err != nil || inner != nil {
			return w.Look(ctx, inner)
		}
	}
	u, done := m.unpacker(ctx, w, s)
	if u == nil {
		return nil
	}
	inner, err := func() (*walk.Section, error) {
		defer done() // even if a library panics, or the slot would be lost
		return w.Unpacked(s, u, m.declared)
	}()
	failed := u.Failed()
	if w.Stopped() == nil && failed != nil && (inner != nil || err != nil) && m.declared >= walk.SmallestContainer {
		broken(w, failed)
	}
	return w.Look(ctx, inner)
}

// broken records that a member could not be unpacked to its end.
func broken(w *walk.Walk, err error) {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		w.Miss(walk.UnscannedCutOff, "zip: a member is cut off")
		return
	}
	w.Miss(walk.UnscannedBroken, "zip: a member cannot be unpacked to its end")
}

// unpacker returns an unpacker of the member, or nil if it cannot be unpacked. The caller
// calls done after its last read.
func (m member) unpacker(ctx context.Context, w *walk.Walk, s *walk.Section) (u *walk.Unpacker, done func()) {
	var packed io.Reader = io.NewSectionReader(s, m.at, m.size)
	switch m.method {
	case methodDeflate:
		return w.Inflater(ctx, packed), func() {}
	case methodDeflate64:
		return m.borrowing(ctx, w, inflate64.Memory+4096, func() (io.Reader, error) { return inflate64.NewReader(packed), nil })
	case methodBZip2:
		return m.borrowing(ctx, w, 4<<20, func() (io.Reader, error) { return bzip2.NewReader(packed), nil })
	case methodLZMA:
		return m.lzma(ctx, w, s)
	}
	name := methods[m.method]
	if name == "" {
		name = fmt.Sprint(m.method)
	}
	w.Miss(walk.UnscannedMethod, "zip: method "+name+" is not supported")
	return nil, nil
}

// borrowing returns an unpacker that borrows memory.
func (m member) borrowing(ctx context.Context, w *walk.Walk, memory int64, open func() (io.Reader, error)) (*walk.Unpacker, func()) {
	if memory > w.BytesLeft() {
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil, nil
	}
	release, err := w.Borrow(ctx, memory)
	if err != nil {
		return nil, nil
	}
	r, err := open()
	if err != nil {
		release()
		broken(w, err)
		return nil, nil
	}
	return w.Unpacker(ctx, r), release
}

// lzma unpacks a member after ZIP's LZMA header (5.8.8). It runs in a guard, because the
// library unpacks a whole dictionary at a time.
func (m member) lzma(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Unpacker, func()) {
	const header, properties, hasEnd = 4, 5, 1 << 1
	var h [header + properties]byte
	if m.size < int64(len(h)) || walk.ReadFull(s, h[:], m.at) != nil || binary.LittleEndian.Uint16(h[2:]) != properties {
		w.Miss(walk.UnscannedBroken, "zip: a member has no properties of LZMA")
		return nil, nil
	}
	g, err := w.Guard(ctx)
	if err != nil {
		return nil, nil
	}
	size, most := uint64(m.declared), uint64(m.declared)
	if m.flags&hasEnd != 0 {
		size = lzma.Unknown
	}
	packed := io.NewSectionReader(g.ReaderAt(s), m.at+int64(len(h)), m.size-int64(len(h)))
	u, release := m.borrowing(ctx, w, int64(lzma.Memory(h[header:], most)), func() (io.Reader, error) {
		var r io.Reader
		err := g.Call(func() (err error) {
			r, err = lzma.NewReader(h[header:], size, most, packed)
			return err
		})
		if err != nil {
			return nil, err // without touching r: an abandoned call may still write to it
		}
		return g.Reader(r), nil
	})
	if u == nil {
		g.Close()
		return nil, nil
	}
	return u, func() { release(); g.Close() }
}

package rar

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nwaples/rardecode/v2"

	"polyclam/backends/inspect/internal/walk"
)

// smallestDictionary is the smallest limit that rardecode accepts.
const smallestDictionary = 256 << 10

// packed inspects the compressed members. In a solid archive each depends on those
// before it. Otherwise each gets its own reader, because rardecode would continue with
// the remaining bits of a member that has not been read to its end.
func (a *file) packed(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	if !a.any || a.main == 0 {
		return nil, nil
	}
	g, err := w.Guard(ctx)
	if err != nil {
		return nil, err
	}
	defer g.Close()
	u := &unpacker{ctx: ctx, walk: w, section: s, guard: g, archive: a}
	if a.solid {
		return u.solid(), w.Stopped()
	}
	for at := a.first; ; {
		b, ok := a.next(w, s, at)
		if !ok || b.end || w.Stopped() != nil || g.Abandoned {
			return nil, w.Stopped()
		}
		if e := b.entry; e != nil && !e.directory && !e.stored && !e.split && e.packed >= walk.SmallestContainer {
			if seen := u.single(e, at); seen != nil {
				return seen, nil
			}
		}
		at = b.next
	}
}

// unpacker unpacks members with rardecode.
type unpacker struct {
	ctx     context.Context // lives as long as the scan
	walk    *walk.Walk
	section *walk.Section
	guard   *walk.Guard
	archive *file
	stream  stream
	reader  *rardecode.Reader
}

// single inspects a member whose header is at offset at.
func (u *unpacker) single(e *entry, at int64) *walk.Sighting {
	w := u.walk
	if e.solid {
		// The archive is not solid: where rardecode would start is unknown.
		w.Miss(walk.UnscannedBroken, "rar: a solid member in an archive that is not solid")
		return nil
	}
	dictionary := e.window()
	// rardecode unpacks up to a dictionary ahead, plus what a filter needs.
	const filter = 4 << 20
	if g := u.unsound(e, 2*dictionary+filter); g != nil {
		w.AddGap(g)
		return nil
	}
	end := min(e.at+e.packed, u.section.Size)
	from := u.guard.ReaderAt(u.section)
	release := u.open(dictionary, io.MultiReader(
		io.NewSectionReader(from, u.archive.at, u.archive.main-u.archive.at),
		io.NewSectionReader(from, at, end-at)))
	if release == nil {
		return nil
	}
	defer release()
	h := u.nextMember()
	if h == nil {
		return nil
	}
	return u.member(h, func() error {
		if g := u.unsound(e, 1<<62); g != nil {
			w.AddGap(g)
			return errStream
		}
		return nil
	})
}

// solid inspects the members of a solid archive.
func (u *unpacker) solid() *walk.Sighting {
	w, a := u.walk, u.archive
	end, dictionary := u.soundMembers()
	from := u.guard.ReaderAt(u.section)
	release := u.open(dictionary, io.NewSectionReader(from, a.at, end-a.at))
	if release == nil {
		return nil
	}
	defer release()
	for {
		h := u.nextMember()
		if h == nil {
			return nil
		}
		if seen := u.member(h, nil); seen != nil || w.Stopped() != nil || u.guard.Abandoned {
			return seen
		}
	}
}

// soundMembers returns the offset of the first member that rardecode must not get, or the
// end of the archive, and the dictionary that the members before it need.
func (u *unpacker) soundMembers() (end, dictionary int64) {
	w, s, a := u.walk, u.section, u.archive
	end = s.Size
	var why *walk.Gap
	for at := a.first; ; {
		b, ok := a.next(w, s, at)
		if !ok || b.end || w.Stopped() != nil {
			return end, dictionary
		}
		if e := b.entry; e != nil && !e.directory {
			if why == nil && !e.stored && !e.split && !e.cut {
				why = u.unsound(e, 1<<62)
			}
			switch {
			case why != nil && (e.unpacked < 0 || e.unpacked >= walk.SmallestContainer):
				w.AddGap(why) // tiny members are no loss
				fallthrough
			case why != nil, e.split, e.cut:
				end = min(end, at)
			case end == s.Size:
				dictionary = max(dictionary, e.window())
			}
		}
		at = b.next
	}
}

// window returns the size of the dictionary that rardecode allocates for a member.
func (e *entry) window() int64 {
	if !e.solid && e.unpacked >= 0 {
		return min(e.dictionary, e.unpacked)
	}
	return e.dictionary
}

// unsound checks the stream of a member for enough bytes of output, and returns why it
// cannot be unpacked. The check is free, because rardecode reads the same bytes again.
func (u *unpacker) unsound(e *entry, enough int64) *walk.Gap {
	most := e.unpacked
	if most < 0 {
		most = u.walk.BytesLeft()
	}
	u.stream.begin(io.NewSectionReader(u.section, e.at, e.packed), e.solid, most, enough)
	var err error
	switch {
	case u.archive.version == 1 && e.version <= 1:
		u.walk.Unmetered(func() { err = u.stream.method50(e.version) })
	case u.archive.version == 0 && e.version == 29:
		u.walk.Unmetered(func() { err = u.stream.method29() })
	case u.archive.version == 0 && (e.version == 20 || e.version == 26):
		// These have neither filters nor PPMd.
	default:
		return &walk.Gap{Name: walk.UnscannedMethod, Detail: fmt.Sprintf("rar: version %d of its methods is not supported", e.version)}
	}
	switch {
	case err == nil, errors.Is(err, errEnough), errors.Is(err, io.ErrUnexpectedEOF):
		return nil
	case errors.Is(err, errPPMd), errors.Is(err, errFilter):
		return &walk.Gap{Name: walk.UnscannedMethod, Detail: err.Error()}
	}
	return &walk.Gap{Name: walk.UnscannedBroken, Detail: err.Error()}
}

// open opens an archive with rardecode. The returned function releases its memory; it is
// nil if the archive cannot be unpacked.
func (u *unpacker) open(dictionary int64, archive io.Reader) (release func()) {
	w := u.walk
	dictionary = max(dictionary, smallestDictionary)
	// A filter needs memory for its input and twice that for its output.
	memory := dictionary + 3*u.stream.longestFilter
	if memory > w.BytesLeft() {
		w.Note("MaxBytes", w.Limits.MaxBytes)
		return nil
	}
	release, err := w.Borrow(u.ctx, memory)
	if err != nil {
		return nil
	}
	err = u.guard.Call(func() (err error) {
		u.reader, err = rardecode.NewReader(archive, rardecode.MaxDictionarySize(dictionary), rardecode.SkipCheck)
		return err
	})
	if err != nil {
		w.Miss(walk.UnscannedBroken, "rar: it cannot be opened")
		return nil
	}
	return release
}

// nextMember returns the next member's header, or nil.
func (u *unpacker) nextMember() *rardecode.FileHeader {
	var h *rardecode.FileHeader
	err := u.guard.Call(func() (err error) {
		h, err = u.reader.Next()
		return err
	})
	if err != nil {
		if !errors.Is(err, io.EOF) {
			u.walk.Miss(walk.UnscannedBroken, "rar: a member cannot be unpacked")
		}
		return nil
	}
	return h
}

// member inspects one member. In a solid archive it reads it to the end.
func (u *unpacker) member(h *rardecode.FileHeader, ready func() error) *walk.Sighting {
	if h.IsDir || h.UnPackedSize == 0 {
		return nil
	}
	declared := h.UnPackedSize
	if h.UnKnownSize {
		declared = -1
	}
	r := u.walk.Unpacker(u.ctx, u.guard.Reader(u.reader))
	r.Ready = ready
	inner, err := u.walk.Unpacked(u.section, r, declared)
	if err == nil {
		if seen := u.walk.Look(u.ctx, inner); seen != nil {
			return seen.Within("rar", h.Name)
		}
	} else if declared >= walk.SmallestContainer && u.walk.Stopped() == nil {
		u.walk.Miss(walk.UnscannedBroken, "rar: a member cannot be unpacked")
	}
	if u.archive.solid && u.walk.Stopped() == nil {
		r.Drain()
	}
	return nil
}

package inspect

import (
	"context"
	"errors"

	"github.com/nwaples/rardecode/v2"
)

// smallestRARDictionary is what rardecode takes at least, and refuses to be
// limited to less.
const smallestRARDictionary = 256 << 10

// packed looks into the members that are compressed, one after the other: in a
// solid archive each needs those before it.
func (rarDetector) packed(ctx context.Context, w *walk, s *section, at int64, p rarPacked) (*sighting, error) {
	if !p.any {
		return nil, nil
	}
	dictionary := max(p.dictionary, smallestRARDictionary)
	if dictionary > w.bytes {
		w.note("MaxBytes", int64(w.config.MaxBytes))
		return nil, nil
	}
	if err := w.spend(ctx, dictionary); err != nil {
		return nil, err
	}
	g, err := w.guard(ctx)
	if err != nil {
		return nil, err
	}
	defer g.close()
	u := &rarUnpacker{ctx: ctx, walk: w, section: s, guard: g, solid: p.solid}
	err = g.call(func() (err error) {
		u.reader, err = rardecode.NewReader(rarReader(g, s, at), rardecode.MaxDictionarySize(dictionary), rardecode.SkipCheck)
		return err
	})
	if err != nil {
		return nil, err
	}
	return u.members()
}

// rarUnpacker goes through the members with rardecode.
type rarUnpacker struct {
	ctx     context.Context // see meter
	walk    *walk
	section *section
	guard   *guard
	reader  *rardecode.Reader
	solid   bool
}

func (u *rarUnpacker) members() (*sighting, error) {
	for {
		var h *rardecode.FileHeader
		err := u.guard.call(func() (err error) {
			h, err = u.reader.Next()
			return err
		})
		if errors.Is(err, rardecode.ErrDictionaryTooLarge) {
			u.walk.note("MaxBytes", int64(u.walk.config.MaxBytes))
		}
		if err != nil {
			return nil, err
		}
		seen, err := u.member(h)
		if seen != nil || err != nil {
			return seen, err
		}
	}
}

// member looks into one member, and reads it to its end if others need that.
func (u *rarUnpacker) member(h *rardecode.FileHeader) (*sighting, error) {
	// What is as large as before is not compressed, and has been looked into.
	if h.IsDir || h.UnPackedSize == 0 || !u.solid && h.PackedSize == h.UnPackedSize {
		return nil, nil
	}
	declared := h.UnPackedSize
	if h.UnKnownSize {
		declared = -1
	}
	r := u.walk.unpacker(u.ctx, u.guard.reader(u.reader))
	if inner, err := u.walk.unpacked(u.section, r, declared); err == nil {
		if seen := u.walk.look(u.ctx, inner); seen != nil {
			return seen.within("rar", h.Name), nil
		}
	}
	if u.solid && u.walk.stop == nil {
		return nil, r.drain()
	}
	return nil, u.walk.stop
}

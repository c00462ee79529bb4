// Package tnef inspects the attachments in Outlook's winmail.dat ([MS-OXTNEF]). The format
// has no encryption. Existing libraries read whole files into memory, although a file is
// just a list of attributes.
package tnef

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises winmail.dat.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte("\x78\x9f\x3e\x22"))
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const title, data, properties, fixed = 0x00018010, 0x0006800f, 0x00069005, 9
	name := ""
	for at := int64(6); at+fixed <= s.Size; {
		var h [fixed]byte
		if err := walk.ReadFull(s, h[:], at); err != nil {
			return nil, err
		}
		kind, size := binary.LittleEndian.Uint32(h[1:]), int64(binary.LittleEndian.Uint32(h[5:]))
		if h[0] != 1 && h[0] != 2 {
			return nil, nil
		}
		at += fixed
		switch kind {
		case title:
			b := w.Header(min(size, walk.MaxName, s.Size-at))
			if err := walk.ReadFull(s, b, at); err != nil {
				return nil, err
			}
			name = string(bytes.TrimRight(b, "\x00"))
		case data:
			inner, err := w.Stored(s, at, size)
			if err != nil {
				return nil, err
			}
			if seen := w.Look(ctx, inner); seen != nil || w.Stopped() != nil {
				return seen.Within("tnef", name), w.Stopped()
			}
		}
		if kind == properties {
			seen := attachmentObject(ctx, w, s, at, min(at+size, s.Size))
			if seen != nil || w.Stopped() != nil {
				return seen.Within("tnef", name), w.Stopped()
			}
		}
		at += size + 2
	}
	return nil, nil
}

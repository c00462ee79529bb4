package zip

import (
	"bytes"
	"encoding/binary"
	"math"

	"polyclam/backends/inspect/internal/walk"
)

// localHeader precedes each member.
type localHeader struct {
	flags, method uint16
	packed        uint64
	name          []byte // valid until the next header is read
	data          int64  // offset of the member's data
	large         bool   // the size is in a ZIP64 field
}

// The flag for sizes that follow the member, and the unused flag bits (4.4.4).
const (
	flagStreamed = 1 << 3
	flagsUnused  = 0xd780
)

// lookLocal checks the local headers of an archive whose directory cannot be read because
// it is missing, broken, or encrypted. It begins only at the very start, or where the
// directory says that the archive begins, and proceeds from member to member, so that a
// truncated archive of plain members causes no false alarm.
func (Detector) lookLocal(w *walk.Walk, s *walk.Section, dirs []directory) *walk.Sighting {
	var starts []int64
	if at := int64(bytes.Index(s.Head, []byte(local))); at == 0 || at == 4 {
		starts = append(starts, at)
	}
	for _, d := range dirs {
		if d.base > 0 {
			starts = append(starts, d.base)
		}
	}
	for _, at := range starts {
		seen, any := lookLocalFrom(w, s, at)
		if seen != nil {
			return seen
		}
		if any {
			w.Miss(walk.UnscannedCutOff, "zip: the archive has no directory")
		}
	}
	return nil
}

// lookLocalFrom is lookLocal from one offset. It also reports whether there was any member.
func lookLocalFrom(w *walk.Walk, s *walk.Section, at int64) (seen *walk.Sighting, any bool) {
	h, ok := readLocal(w, s, at)
	any = ok
	for ok {
		if how := encryptionOf(h.flags, h.method); how != "" {
			return walk.NewSighting(walk.FindingZip, "zip", string(h.name), how), true
		}
		at, ok = h.next(w, s)
		if ok {
			h, ok = readLocal(w, s, at)
		}
	}
	return nil, any
}

// readLocal reads a local header, and reports whether it is plausible.
func readLocal(w *walk.Walk, s *walk.Section, at int64) (localHeader, bool) {
	b := w.Header(localSize + maxName)
	n := min(int64(len(b)), s.Size-at)
	if at < 0 || n < localSize || walk.ReadFull(s, b[:n], at) != nil || string(b[:4]) != local {
		return localHeader{}, false
	}
	name := int64(binary.LittleEndian.Uint16(b[26:]))
	h := localHeader{
		flags:  binary.LittleEndian.Uint16(b[6:]),
		method: binary.LittleEndian.Uint16(b[8:]),
		packed: uint64(binary.LittleEndian.Uint32(b[18:])),
		name:   b[localSize:min(n, localSize+name)],
		data:   at + localSize + name + int64(binary.LittleEndian.Uint16(b[28:])),
	}
	h.large = h.packed == math.MaxUint32
	// Version 6.3 is the latest (4.4.3.2).
	const highest = 63
	sound := b[4] <= highest && h.flags&flagsUnused == 0 && name > 0 &&
		(h.method <= 20 || h.method >= 93 && h.method <= 99)
	return h, sound
}

// next returns the offset of the next member's header.
func (h *localHeader) next(w *walk.Walk, s *walk.Section) (int64, bool) {
	const descriptor = 24 // the longest data descriptor (4.3.9)
	if h.large || h.flags&flagStreamed != 0 && h.packed == 0 {
		return findLocal(w, s, h.data, s.Size)
	}
	if h.packed > uint64(max(0, s.Size-h.data)) {
		return 0, false
	}
	from := h.data + int64(h.packed)
	return findLocal(w, s, from, min(s.Size, from+descriptor+localSize))
}

// findLocal searches for a plausible header between from and to.
func findLocal(w *walk.Walk, s *walk.Section, from, to int64) (int64, bool) {
	const step = 16 << 10
	for from < to {
		n := min(step, to-from)
		buffer := w.Buffer(n)
		if walk.ReadFull(s, buffer, from) != nil {
			return 0, false
		}
		for rest, at := buffer, from; ; {
			i := bytes.Index(rest, []byte(local))
			if i < 0 {
				break
			}
			if _, sound := readLocal(w, s, at+int64(i)); sound {
				return at + int64(i), true
			}
			rest, at = rest[i+1:], at+int64(i)+1
		}
		if n < step {
			return 0, false
		}
		from += n - 3 // a signature may span two steps
	}
	return 0, false
}

package zip

import (
	"bytes"
	"encoding/binary"
	"math"

	"polyclam/backends/inspect/internal/walk"
)

// zipLocalHeader is what stands before each member.
type zipLocalHeader struct {
	flags, method uint16
	packed        uint64
	name          []byte // gone with the next header
	data          int64  // where the member's bytes begin
	large         bool   // the size is elsewhere
}

// The flag for sizes that follow the member, and the bits that nobody uses
// (4.4.4).
const (
	zipFlagStreamed = 1 << 3
	zipFlagsUnused  = 0xd780
)

// lookLocal goes through the local headers of an archive whose directory cannot
// be read: cut off, broken, or encrypted itself. It begins only at the very start,
// or where the directory says that the archive begins, and goes from member to
// member, so that a truncated archive of plain members gives no false alarm.
func (Detector) lookLocal(w *walk.Walk, s *walk.Section, dirs []zipDirectory) *walk.Sighting {
	var starts []int64
	if at := int64(bytes.Index(s.Head, []byte(zipLocal))); at == 0 || at == 4 {
		starts = append(starts, at)
	}
	for _, d := range dirs {
		if d.base > 0 {
			starts = append(starts, d.base)
		}
	}
	for _, at := range starts {
		if seen := lookLocalFrom(w, s, at); seen != nil {
			return seen
		}
	}
	return nil
}

func lookLocalFrom(w *walk.Walk, s *walk.Section, at int64) *walk.Sighting {
	h, ok := readZipLocal(w, s, at)
	for ok {
		if how := zipEncryption(h.flags, h.method); how != "" {
			return walk.NewSighting(walk.FindingZip, "zip", string(h.name), how)
		}
		at, ok = h.next(w, s)
		if ok {
			h, ok = readZipLocal(w, s, at)
		}
	}
	return nil
}

// readZipLocal reports false for what is not a sound local header.
func readZipLocal(w *walk.Walk, s *walk.Section, at int64) (zipLocalHeader, bool) {
	b := w.Header(zipLocalSize + maxZipName)
	n := min(int64(len(b)), s.Size-at)
	if at < 0 || n < zipLocalSize || walk.ReadFull(s, b[:n], at) != nil || string(b[:4]) != zipLocal {
		return zipLocalHeader{}, false
	}
	name := int64(binary.LittleEndian.Uint16(b[26:]))
	h := zipLocalHeader{
		flags:  binary.LittleEndian.Uint16(b[6:]),
		method: binary.LittleEndian.Uint16(b[8:]),
		packed: uint64(binary.LittleEndian.Uint32(b[18:])),
		name:   b[zipLocalSize:min(n, zipLocalSize+name)],
		data:   at + zipLocalSize + name + int64(binary.LittleEndian.Uint16(b[28:])),
	}
	h.large = h.packed == math.MaxUint32
	// Version 6.3 is the highest there is (4.4.3.2).
	const highest = 63
	sound := b[4] <= highest && h.flags&zipFlagsUnused == 0 && name > 0 &&
		(h.method <= 20 || h.method >= 93 && h.method <= 99)
	return h, sound
}

// next finds the header of the next member.
func (h *zipLocalHeader) next(w *walk.Walk, s *walk.Section) (int64, bool) {
	const descriptor = 24 // the longest there is (4.3.9)
	if h.large || h.flags&zipFlagStreamed != 0 && h.packed == 0 {
		return findZipLocal(w, s, h.data, s.Size)
	}
	if h.packed > uint64(max(0, s.Size-h.data)) {
		return 0, false
	}
	from := h.data + int64(h.packed)
	return findZipLocal(w, s, from, min(s.Size, from+descriptor+zipLocalSize))
}

// findZipLocal searches for a sound header between from and to.
func findZipLocal(w *walk.Walk, s *walk.Section, from, to int64) (int64, bool) {
	const step = 16 << 10
	for from < to {
		n := min(step, to-from)
		buffer := w.Buffer(n)
		if walk.ReadFull(s, buffer, from) != nil {
			return 0, false
		}
		for rest, at := buffer, from; ; {
			i := bytes.Index(rest, []byte(zipLocal))
			if i < 0 {
				break
			}
			if _, sound := readZipLocal(w, s, at+int64(i)); sound {
				return at + int64(i), true
			}
			rest, at = rest[i+1:], at+int64(i)+1
		}
		if n < step {
			return 0, false
		}
		from += n - 3 // a signature may lie across
	}
	return 0, false
}

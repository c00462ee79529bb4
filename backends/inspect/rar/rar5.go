package rar

import (
	"encoding/binary"
	"hash/crc32"

	"polyclam/backends/inspect/internal/walk"
)

// The blocks of RAR 5 and their flags.
const (
	rar5Main    = 1
	rar5File    = 2
	rar5Encrypt = 4
	rar5End     = 5

	rar5MainSolid = 0x04

	rar5HasExtra = 0x01
	rar5HasData  = 0x02
	rar5Before   = 0x08 // continued from another volume
	rar5After    = 0x10

	rar5Directory   = 0x01
	rar5HasTime     = 0x02
	rar5HasSum      = 0x04
	rar5UnknownSize = 0x08

	rar5ExtraEncrypted = 1
)

// maxRAR5Header is the largest header that is looked at. There may be such of
// 2 MiB, but not with anything but padding in them.
const maxRAR5Header = 64 << 10

// vints reads the numbers of RAR 5: seven bits a byte, the lowest first.
type vints struct {
	b   []byte
	bad bool
}

func (v *vints) next() uint64 {
	n, length := binary.Uvarint(v.b)
	if length <= 0 {
		v.bad, v.b = true, nil
		return 0
	}
	v.b = v.b[length:]
	return n
}

func (v *vints) bytes(n uint64) []byte {
	if n > uint64(len(v.b)) {
		v.bad, v.b = true, nil
		return nil
	}
	b := v.b[:n]
	v.b = v.b[n:]
	return b
}

// rarNext5 reads the header at at.
func rarNext5(w *walk.Walk, s *walk.Section, at int64) (rarBlock, bool) {
	const fixed = 4 + 3 // checksum, size
	var f [fixed]byte
	if at < 0 || at+fixed > s.Size || walk.ReadFull(s, f[:], at) != nil {
		return rarBlock{}, false
	}
	length := vints{b: f[4:]}
	size := length.next()
	start := at + fixed - int64(len(length.b))
	if length.bad || size == 0 || size > uint64(s.Size-start) || size > 2<<20 {
		return rarBlock{}, false
	}
	if size > maxRAR5Header {
		return rarBlock{}, false
	}
	n := start + int64(size) - (at + 4)
	h := w.Buffer(n)
	if walk.ReadFull(s, h, at+4) != nil || crc32.ChecksumIEEE(h) != binary.LittleEndian.Uint32(f[:]) {
		return rarBlock{}, false
	}
	return readRAR5(h[n-int64(size):], start+int64(size), s.Size)
}

// readRAR5 reads a header, whose data begins at at in size bytes.
func readRAR5(h []byte, at, size int64) (rarBlock, bool) {
	v := vints{b: h}
	kind, flags := v.next(), v.next()
	var extra, data uint64
	if flags&rar5HasExtra != 0 {
		extra = v.next()
	}
	if flags&rar5HasData != 0 {
		data = v.next()
	}
	if v.bad || extra > uint64(len(v.b)) || data > 1<<62 {
		return rarBlock{}, false
	}
	b := rarBlock{next: at + int64(data), end: kind == rar5End}
	switch kind {
	case rar5Main:
		b.main, b.solid = true, v.next()&rar5MainSolid != 0
	case rar5Encrypt:
		b.seen = walk.NewSighting(walk.FindingRAR, "rar", "", "headers encrypted, AES-256")
	case rar5File:
		records := v.b[uint64(len(v.b))-extra:]
		v.b = v.b[:uint64(len(v.b))-extra]
		e := readRAR5File(&v)
		if v.bad {
			return rarBlock{}, false
		}
		e.at, e.packed = at, int64(data)
		e.cut = e.packed > size-at
		e.split = flags&(rar5Before|rar5After) != 0
		b.entry = e
		if hasRAR5Record(records, rar5ExtraEncrypted) {
			b.seen = walk.NewSighting(walk.FindingRAR, "rar", e.name, "AES-256")
		}
	}
	return b, true
}

func readRAR5File(v *vints) *rarEntry {
	flags := v.next()
	e := &rarEntry{directory: flags&rar5Directory != 0, unpacked: int64(v.next())}
	if flags&rar5UnknownSize != 0 {
		e.unpacked = -1
	}
	v.next() // attributes
	if flags&rar5HasTime != 0 {
		v.bytes(4)
	}
	if flags&rar5HasSum != 0 {
		v.bytes(4)
	}
	how := v.next()
	e.version = byte(how & 0x3f)
	e.solid = how&0x40 != 0
	e.stored = how>>7&7 == 0
	e.dictionary = 0x20000 << (how >> 10 & 0x1f)
	if how&0x3f == 1 { // RAR 7: and so many 32nds of it
		e.dictionary += e.dictionary / 32 * int64(how>>15&0x1f)
	}
	v.next() // host system
	name := v.bytes(v.next())
	e.name = string(name[:min(len(name), walk.MaxName)])
	return e
}

// hasRAR5Record searches the records at the end of a header.
func hasRAR5Record(records []byte, kind uint64) bool {
	for v := (vints{b: records}); len(v.b) > 0; {
		r := vints{b: v.bytes(v.next())}
		if v.bad {
			return false
		}
		if r.next() == kind && !r.bad {
			return true
		}
	}
	return false
}

package rar

import (
	"encoding/binary"
	"hash/crc32"

	"polyclam/backends/inspect/internal/walk"
)

// The blocks of RAR 5 and their flags.
const (
	v5Main    = 1
	v5File    = 2
	v5Encrypt = 4
	v5End     = 5

	v5MainSolid = 0x04

	v5HasExtra = 0x01
	v5HasData  = 0x02
	v5Before   = 0x08 // continued from another volume
	v5After    = 0x10

	v5Directory   = 0x01
	v5HasTime     = 0x02
	v5HasSum      = 0x04
	v5UnknownSize = 0x08

	v5ExtraEncrypted = 1
)

// maxHeader5 is the largest supported header. RAR allows 2 MiB, but only padding would fill
// them.
const maxHeader5 = 64 << 10

// vints reads RAR 5's variable-length integers: seven bits a byte, least significant first.
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

// next5 reads the header at offset at.
func next5(w *walk.Walk, s *walk.Section, at int64) (block, bool) {
	const fixed = 4 + 3 // checksum, size
	var f [fixed]byte
	if at < 0 || at+fixed > s.Size || walk.ReadFull(s, f[:], at) != nil {
		return block{}, false
	}
	length := vints{b: f[4:]}
	size := length.next()
	start := at + fixed - int64(len(length.b))
	if length.bad || size == 0 || size > uint64(s.Size-start) || size > 2<<20 {
		return block{}, false
	}
	if size > maxHeader5 {
		return block{}, false
	}
	n := start + int64(size) - (at + 4)
	h := w.Buffer(n)
	if walk.ReadFull(s, h, at+4) != nil || crc32.ChecksumIEEE(h) != binary.LittleEndian.Uint32(f[:]) {
		return block{}, false
	}
	return read5(h[n-int64(size):], start+int64(size), s.Size)
}

// read5 parses a header whose data begins at offset at of an archive of size bytes.
func read5(h []byte, at, size int64) (block, bool) {
	v := vints{b: h}
	kind, flags := v.next(), v.next()
	var extra, data uint64
	if flags&v5HasExtra != 0 {
		extra = v.next()
	}
	if flags&v5HasData != 0 {
		data = v.next()
	}
	if v.bad || extra > uint64(len(v.b)) || data > 1<<62 {
		return block{}, false
	}
	b := block{next: at + int64(data), end: kind == v5End}
	switch kind {
	case v5Main:
		b.main, b.solid = true, v.next()&v5MainSolid != 0
	case v5Encrypt:
		b.seen = walk.NewSighting(walk.FindingRAR, "rar", "", "headers encrypted, AES-256")
	case v5File:
		records := v.b[uint64(len(v.b))-extra:]
		v.b = v.b[:uint64(len(v.b))-extra]
		e := readFile5(&v)
		if v.bad {
			return block{}, false
		}
		e.at, e.packed = at, int64(data)
		e.cut = e.packed > size-at
		e.split = flags&(v5Before|v5After) != 0
		b.entry = e
		if hasRecord(records, v5ExtraEncrypted) {
			b.seen = walk.NewSighting(walk.FindingRAR, "rar", e.name, "AES-256")
		}
	}
	return b, true
}

func readFile5(v *vints) *entry {
	flags := v.next()
	e := &entry{directory: flags&v5Directory != 0, unpacked: int64(v.next())}
	if flags&v5UnknownSize != 0 {
		e.unpacked = -1
	}
	v.next() // attributes
	if flags&v5HasTime != 0 {
		v.bytes(4)
	}
	if flags&v5HasSum != 0 {
		v.bytes(4)
	}
	how := v.next()
	e.version = byte(how & 0x3f)
	e.solid = how&0x40 != 0
	e.stored = how>>7&7 == 0
	e.dictionary = 0x20000 << (how >> 10 & 0x1f)
	if how&0x3f == 1 { // RAR 7 adds a number of 32nds
		e.dictionary += e.dictionary / 32 * int64(how>>15&0x1f)
	}
	v.next() // host system
	name := v.bytes(v.next())
	e.name = string(name[:min(len(name), walk.MaxName)])
	return e
}

// hasRecord searches a header's extra records.
func hasRecord(records []byte, kind uint64) bool {
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

// Package tar reads tar archives of all formats: v7 without a magic number, ustar, GNU and
// pax (POSIX.1-2017 pax, GNU tar's manual), with long names and sparse files. The formats
// have no encryption; only members are inspected.
//
// archive/tar is not used because it stops at the first bad header, where GNU tar and
// bsdtar search for the next one, and because it does not expose the offset of a member's
// data, which is inspected in place.
package tar

import (
	"bytes"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	blockSize = 512
	// maxGap is how far to search for the next header. GNU tar pads to 10 KiB.
	maxGap = 1 << 20

	magic = 257 // offset of the magic number
	ustar = "ustar"
)

var (
	errDamaged = errors.New("damaged header")
	errVolume  = archive.SplitError("continued from another volume")
)

// Matches reports whether head begins a tar archive: with a valid header, or with a ustar
// magic number, because GNU tar and bsdtar skip a header whose checksum is wrong.
func Matches(head []byte) bool {
	return len(head) >= blockSize && (isHeader(head[:blockSize]) || string(head[magic:magic+len(ustar)]) == ustar)
}

// isHeader reports whether a header's checksum is right. Old programs summed signed bytes.
func isHeader(b []byte) bool {
	want, ok := archive.Number(b[148:156], 8)
	if !ok || want == 0 {
		return false
	}
	unsigned, signed := int64(8*' '), int64(8*' ')
	for i, c := range b {
		if i < 148 || i >= 156 {
			unsigned += int64(c)
			signed += int64(int8(c))
		}
	}
	return want == unsigned || want == signed
}

// number parses a field of octal digits, or the base-256 format that GNU tar uses for large
// numbers.
func number(b []byte) (int64, bool) {
	if b[0]&0x80 == 0 {
		return archive.Number(b, 8)
	}
	n := int64(b[0] & 0x3f)
	for _, c := range b[1:] {
		if n >= 1<<55 {
			return 0, false
		}
		n = n<<8 | int64(c)
	}
	return n, b[0]&0x40 == 0
}

// reader is the iteration state between headers.
type reader struct {
	r      io.ReaderAt
	size   int64
	at     int64 // offset of the next header
	block  [blockSize]byte
	long   string // the next member's name
	next   pax    // records for the next member
	global pax    // records for all following members
}

// Members iterates over an archive of size bytes.
func Members(r io.ReaderAt, size int64) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		t := &reader{r: r, size: size}
		damaged, found := false, false
		for {
			bad, err := t.header()
			damaged = damaged || bad
			switch {
			case errors.Is(err, io.EOF) && !found:
				yield(archive.Member{}, archive.ErrFormat) // there is nothing but the magic number
				return
			case errors.Is(err, io.EOF) && damaged:
				yield(archive.Member{}, errDamaged)
				return
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(archive.Member{}, err)
				return
			}
			found = true
			if !t.member(yield) {
				return
			}
		}
	}
}

// header reads the next header, and reports whether it had to be searched for. The end is
// [io.EOF].
func (t *reader) header() (damaged bool, err error) {
	for gap := 0; gap < maxGap && t.at < t.size; gap += blockSize {
		if t.size-t.at < blockSize {
			break
		}
		if err := archive.ReadFull(t.r, t.block[:], t.at); err != nil {
			return damaged, err
		}
		t.at += blockSize
		if isHeader(t.block[:]) {
			return damaged, nil
		}
		damaged = damaged || len(bytes.Trim(t.block[:], "\x00")) > 0
	}
	return damaged, io.EOF
}

// member processes the header in t.block and moves to the next.
func (t *reader) member(yield func(archive.Member, error) bool) bool {
	size, ok := number(t.block[124:136])
	kind := t.block[156]
	meta := bytes.IndexByte([]byte("LKxXg"), kind) >= 0
	if p := t.merged(); !meta && p.hasSize {
		size = p.size
	}
	if !ok || size < 0 {
		return yield(archive.Member{Name: t.name()}, errDamaged)
	}
	if meta {
		if err := t.meta(kind, size); err != nil {
			yield(archive.Member{}, err)
			return false
		}
		t.skip(size)
		return true
	}
	m := archive.Member{Name: t.name(), Offset: t.at, Size: size}
	p := t.merged()
	t.long, t.next = "", pax{}
	switch {
	case kind == 'S':
		return t.oldSparse(m, yield)
	case p.sparse():
		return t.paxSparse(m, p, yield)
	case kind >= '1' && kind <= '6':
		// Links and devices have no data. If what follows is not a header,
		// it is data after all.
		return size == 0 || yield(m, nil)
	}
	return t.yield(m, yield) && (kind != 'M' || yield(archive.Member{Name: m.Name}, errVolume))
}

// yield yields a member and moves past its data.
func (t *reader) yield(m archive.Member, yield func(archive.Member, error) bool) bool {
	cutOff := m.Size > t.size-t.at
	t.skip(m.Size)
	return yield(m, nil) && (!cutOff || yield(archive.Member{Name: m.Name}, archive.ErrCutOff))
}

// skip moves past data of this size.
func (t *reader) skip(size int64) {
	if size > t.size-t.at {
		t.at = t.size
		return
	}
	t.at += (size + blockSize - 1) / blockSize * blockSize
}

// name returns the next member's name.
func (t *reader) name() string {
	if t.long != "" {
		return t.long
	}
	if p := t.merged(); p.path != "" {
		return p.path
	}
	name := archive.Name(t.block[:100])
	if string(t.block[257:263]) == "ustar\x00" {
		if prefix := archive.Name(t.block[345:500]); prefix != "" {
			name = prefix + "/" + name
		}
	}
	return name
}

// meta reads a header that describes the next member.
func (t *reader) meta(kind byte, size int64) (err error) {
	if size > t.size-t.at {
		return archive.ErrCutOff
	}
	switch kind {
	case 'L':
		t.long, err = archive.ReadName(t.r, t.at, size)
	case 'x', 'X':
		t.next, err = readPax(t.r, t.at, size)
	case 'g':
		t.global, err = readPax(t.r, t.at, size)
	}
	return err
}

func (t *reader) merged() pax { return t.global.merge(t.next) }

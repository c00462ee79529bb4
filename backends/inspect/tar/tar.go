// Package tar goes through tar archives of all ages: v7 without a magic, ustar,
// GNU and pax, with long names and sparse files.
//
// Package archive/tar is not used because it ends at the first header that it
// does not like, where GNU tar and bsdtar look for the next one, and because it
// knows no place of a member's data, which is looked at where it lies.
package tar

import (
	"bytes"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	blockSize = 512
	// maxGap is how far what is not a header is searched for the next one. GNU
	// tar pads to 10 KiB.
	maxGap = 1 << 20

	magic = 257 // where ustar has it
	ustar = "ustar"
)

var (
	errDamaged = errors.New("damaged header")
	errVolume  = archive.SplitError("continued from another volume")
)

// Matches reports whether head is the beginning of a tar archive: a header whose sum is
// right, or one of ustar, after which GNU tar and bsdtar look for the next header if
// its sum is wrong.
func Matches(head []byte) bool {
	return len(head) >= blockSize && (isHeader(head[:blockSize]) || string(head[magic:magic+len(ustar)]) == ustar)
}

// isHeader reports whether the sum of a header is right. Old programs added
// signed bytes.
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

// number parses a field of octal digits, or of base 256 as GNU tar writes what is
// too large for it.
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

// reader is the state between two headers.
type reader struct {
	r      io.ReaderAt
	size   int64
	at     int64 // of the next header
	block  [blockSize]byte
	long   string // the next member's name
	next   pax    // of the next member
	global pax    // of all members that follow
}

// Members goes through an archive of size bytes.
func Members(r io.ReaderAt, size int64) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		t := &reader{r: r, size: size}
		damaged, found := false, false
		for {
			bad, err := t.header()
			damaged = damaged || bad
			switch {
			case errors.Is(err, io.EOF) && !found:
				yield(archive.Member{}, archive.ErrFormat) // it has nothing but the magic
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

// header reads the next header, and reports whether it had to be searched for.
// The end is [io.EOF].
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

// member handles the header in t.block, and moves to the next.
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
		// Links and devices have no data: what follows is a header, or else data
		// after all.
		return size == 0 || yield(m, nil)
	}
	return t.yield(m, yield) && (kind != 'M' || yield(archive.Member{Name: m.Name}, errVolume))
}

// yield hands out a member, and moves past its data.
func (t *reader) yield(m archive.Member, yield func(archive.Member, error) bool) bool {
	cutOff := m.Size > t.size-t.at
	t.skip(m.Size)
	return yield(m, nil) && (!cutOff || yield(archive.Member{Name: m.Name}, archive.ErrCutOff))
}

// skip moves to the end of the data.
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

// meta reads what describes the next member.
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

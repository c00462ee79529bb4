// Package lzw unpacks the .Z files of compress(1), as (N)compress 4.2 writes them. The
// format has no encryption. The standard compress/lzw supports only the LZW of GIF, PDF
// and TIFF, and not how compress aligns its codes.
package lzw

import (
	"bufio"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	// Signature begins a .Z file.
	Signature = "\x1f\x9d"
	firstBits = 9
	lastBits  = 16
	clear     = 256
	tableSize = 1 << lastBits
	memory    = tableSize * 4
)

var (
	errDamaged = errors.New("damaged")
	errBits    = archive.MethodError("codes of more than 16 bits")
)

// Matches reports whether head begins a .Z file. The first code must be a literal.
func Matches(head []byte) bool {
	return len(head) > 5 && string(head[:2]) == Signature &&
		head[2]&0x60 == 0 && head[2]&0x1f >= firstBits && head[2]&0x1f <= lastBits && head[4]&1 == 0
}

// NewReader returns a reader of the unpacked bytes.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{from: bufio.NewReader(io.NewSectionReader(r, 0, size)), charge: charge}
}

// reader unpacks codes, in groups of eight codes of equal width.
type reader struct {
	from   *bufio.Reader
	charge archive.Charge
	err    error

	most   int // widest code in bits
	blocks bool
	bits   int    // width of the codes in this group
	rest   uint32 // bit buffer
	left   int    // number of bits in rest
	used   int    // bytes read of this group

	prefix []uint16
	suffix []byte
	next   int // next free code
	old    int // previous code, or -1
	first  byte

	stack []byte // the last code's bytes, in reverse order
}

// Read implements [io.Reader].
func (l *reader) Read(p []byte) (n int, err error) {
	if l.prefix == nil && l.err == nil {
		l.err = l.open()
	}
	for n < len(p) {
		if len(l.stack) == 0 {
			if l.err == nil {
				l.err = l.code()
			}
			if l.err != nil {
				break
			}
			continue
		}
		last := len(l.stack) - 1
		p[n] = l.stack[last]
		l.stack = l.stack[:last]
		n++
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// open reads the header.
func (l *reader) open() error {
	var h [3]byte
	if _, err := io.ReadFull(l.from, h[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return archive.ErrCutOff
		}
		return err
	}
	if string(h[:2]) != Signature || h[2]&0x1f < firstBits {
		return errDamaged
	}
	if l.most = int(h[2] & 0x1f); l.most > lastBits {
		return errBits
	}
	if err := l.charge(memory); err != nil {
		return err
	}
	l.blocks = h[2]&0x80 != 0
	l.prefix, l.suffix = make([]uint16, tableSize), make([]byte, tableSize)
	l.stack = make([]byte, 0, tableSize)
	l.old = -1
	l.reset(clear)
	if l.blocks {
		l.next++
	}
	return nil
}

func (l *reader) reset(next int) {
	l.bits, l.next = firstBits, next
}

// code pushes the next code's bytes onto the stack.
func (l *reader) code() error {
	if l.next >= 1<<l.bits && l.bits < l.most {
		if err := l.align(); err != nil {
			return err
		}
		l.bits++
	}
	code, err := l.read()
	if err != nil {
		return err
	}
	if code == clear && l.blocks && l.old >= 0 {
		if err := l.align(); err != nil {
			return err
		}
		l.reset(clear)
		return nil
	}
	return l.unpack(code)
}

// unpack pushes a code's bytes, and defines a new code: the previous code plus the first
// byte of this one.
func (l *reader) unpack(code int) error {
	at := code
	switch {
	case l.old < 0 && code > 255, code > l.next:
		return errDamaged
	case l.old >= 0 && code == l.next:
		l.stack = append(l.stack, l.first)
		at = l.old
	}
	for ; at > 255; at = int(l.prefix[at]) {
		// Codes from before a clear may form a cycle.
		if len(l.stack) == tableSize-1 {
			return errDamaged
		}
		l.stack = append(l.stack, l.suffix[at])
	}
	l.first = byte(at)
	l.stack = append(l.stack, l.first)
	if l.old >= 0 && l.next < 1<<l.most {
		l.prefix[l.next], l.suffix[l.next] = uint16(l.old), l.first
		l.next++
	}
	l.old = code
	return nil
}

// read reads a code, least significant bit first. The end of the file is [io.EOF].
func (l *reader) read() (int, error) {
	for l.left < l.bits {
		b, err := l.from.ReadByte()
		if err != nil {
			return 0, err
		}
		l.rest |= uint32(b) << l.left
		l.left += 8
		l.used++
	}
	code := int(l.rest & (1<<l.bits - 1))
	l.rest >>= l.bits
	l.left -= l.bits
	if l.left == 0 && l.used == l.bits {
		l.used = 0
	}
	return code, nil
}

// align skips the rest of a group.
func (l *reader) align() error {
	skip := 0
	if l.used > 0 {
		skip = l.bits - l.used
	}
	l.rest, l.left, l.used = 0, 0, 0
	_, err := l.from.Discard(skip)
	return err
}

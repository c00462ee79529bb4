// Package archive has what the archive parsers share: the iterator over members, number
// fields, and detectors for archives that are lists of members or one compressed stream.
//
// Parsers read hostile bytes through an [io.ReaderAt] that counts and may end at any time,
// so their loops need no other bound than what they read. They allocate nothing because of
// a number in the archive.
package archive

import (
	"bytes"
	"errors"
	"io"
	"iter"
)

// MaxName is how much of a member's name is read.
const MaxName = 256

// ErrCutOff is the error for an archive that ends before its last member does.
var ErrCutOff = errors.New("cut off")

// Member is a file in an archive.
type Member struct {
	Name string
	// Offset and Size locate a stored member. Size is what the archive
	// claims, and may reach beyond its end.
	Offset, Size int64
	// Data reads a member that is not stored in one piece. It is valid until the iterator
	// advances.
	Data io.Reader
}

// Members iterates over an archive. An error with a name concerns that member only; one
// without a name concerns everything that follows.
type Members = iter.Seq2[Member, error]

// Charge asks for n bytes of memory, replacing its previous request. On an error, unpacking
// must end.
type Charge func(n int64) error

// ReadFull reads len(p) bytes at off, or returns ErrCutOff if there are fewer.
func ReadFull(r io.ReaderAt, p []byte, off int64) error {
	if off < 0 {
		return ErrCutOff
	}
	n, err := r.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil, errors.Is(err, io.EOF):
		return ErrCutOff
	}
	return err
}

// Prefix reads up to len(p) bytes at off.
func Prefix(r io.ReaderAt, p []byte, off int64) ([]byte, error) {
	if off < 0 {
		return nil, ErrCutOff
	}
	n, err := r.ReadAt(p, off)
	if n == len(p) || errors.Is(err, io.EOF) {
		err = nil
	}
	return p[:n], err
}

// Name returns a member's name from a NUL-padded field.
func Name(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	return string(b[:min(len(b), MaxName)])
}

// ReadName reads a name of size bytes, truncated to MaxName.
func ReadName(r io.ReaderAt, off, size int64) (string, error) {
	var b [MaxName]byte
	name := b[:min(max(size, 0), MaxName)]
	if err := ReadFull(r, name, off); err != nil {
		return "", err
	}
	return Name(name), nil
}

// Number parses a digit field padded with blanks or NUL on either side, as archives have
// them. An empty field is zero.
func Number(b []byte, base int64) (int64, bool) {
	b = bytes.Trim(b, " \x00")
	n := int64(0)
	for i, c := range b {
		d := digit(c)
		if d >= base || n > (1<<63-1-d)/base {
			// Whatever follows the padding is ignored.
			return n, i > 0 && (c == ' ' || c == 0)
		}
		n = n*base + d
	}
	return n, true
}

func digit(c byte) int64 {
	switch {
	case c >= '0' && c <= '9':
		return int64(c - '0')
	case c >= 'a' && c <= 'f':
		return int64(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return int64(c - 'A' + 10)
	}
	return 1 << 8
}

// CutOff returns ErrCutOff if err is a premature end, else err.
func CutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCutOff
	}
	return err
}

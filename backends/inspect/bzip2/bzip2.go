// Package bzip2 unpacks what bzip2 has compressed. It uses compress/bzip2, which reads
// all the streams that a file may have.
package bzip2

import (
	"compress/bzip2"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// How the first block begins, or the end of a stream that has none.
const (
	block = "1AY&SY"
	end   = "\x17\x72\x45\x38\x50\x90"
)

// Matches reports whether head is the beginning of a file.
func Matches(head []byte) bool {
	if len(head) <= 10 || string(head[:3]) != "BZh" {
		return false
	}
	begin := string(head[4:10])
	return begin == block || begin == end
}

// NewReader returns the unpacked bytes of a file.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{packed: io.NewSectionReader(r, 0, size), charge: charge}
}

// reader asks for memory when it is first read.
type reader struct {
	packed io.Reader
	charge archive.Charge
	from   io.Reader
}

// Read implements [io.Reader].
func (b *reader) Read(p []byte) (int, error) {
	const memory = 4 << 20 // a block of 900,000 bytes, at four each
	if b.from == nil {
		if err := b.charge(memory); err != nil {
			return 0, err
		}
		b.from = bzip2.NewReader(b.packed)
	}
	n, err := b.from.Read(p)
	var structural bzip2.StructuralError
	if errors.As(err, &structural) {
		err = errDamaged
	}
	return n, err
}

var errDamaged = errors.New("damaged")

// Package bzip2 unpacks bzip2 files with compress/bzip2, which also reads concatenated
// streams. The format has no encryption.
package bzip2

import (
	"compress/bzip2"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// What follows the stream header: the first block, or the end of an empty stream.
const (
	block = "1AY&SY"
	end   = "\x17\x72\x45\x38\x50\x90"
)

// Matches reports whether head begins a bzip2 file.
func Matches(head []byte) bool {
	if len(head) <= 10 || string(head[:3]) != "BZh" {
		return false
	}
	begin := string(head[4:10])
	return begin == block || begin == end
}

// NewReader returns a reader of the unpacked bytes.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{packed: io.NewSectionReader(r, 0, size), charge: charge}
}

// reader charges for memory on the first read.
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

// Package bzip2 looks into what bzip2 has compressed. compress/bzip2 unpacks it, with
// all the streams that a file may have.
package bzip2

import (
	"compress/bzip2"
	"context"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector knows bzip2.
type Detector struct{}

// How the first block begins, or the end of a stream that has none.
const (
	block = "1AY&SY"
	end   = "\x17\x72\x45\x38\x50\x90"
)

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	if len(s.Head) <= 10 || string(s.Head[:3]) != "BZh" {
		return false
	}
	begin := string(s.Head[4:10])
	return begin == block || begin == end
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return archive.Stream(ctx, w, s, "bzip2", archive.Certain, newReader)
}

func newReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
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

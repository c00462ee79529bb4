package xz

import (
	"encoding/binary"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/lzma"
)

// maxLZMASize is the largest plausible size in a header, as in xz.
const maxLZMASize = 1 << 38

// MatchesLZMA reports whether head may begin an .lzma file. The format has no magic number;
// the header must only hold values that programs write.
func MatchesLZMA(head []byte) bool {
	if len(head) <= lzma.HeaderSize || head[0] >= 9*5*5 || head[lzma.HeaderSize] != 0 {
		return false
	}
	dictionary, size := lzmaNumbers(head)
	return wholeDictionary(dictionary) && (size < 0 || size > 0 && size <= maxLZMASize)
}

// lzmaNumbers returns the dictionary size, and the unpacked size or -1.
func lzmaNumbers(h []byte) (dictionary, size int64) {
	return int64(binary.LittleEndian.Uint32(h[1:])), int64(binary.LittleEndian.Uint64(h[5:]))
}

// wholeDictionary reports whether n is 2^i or 2^i + 2^(i-1).
func wholeDictionary(n int64) bool {
	if n == lzma.MaxDictionary {
		return true
	}
	for i := int64(lzma.MinDictionary); i < lzma.MaxDictionary; i <<= 1 {
		if n == i || n == i+i>>1 {
			return true
		}
	}
	return false
}

// maxRatio is more than LZMA can compress: 273 bytes into 14 decisions of 0.022 bits.
const maxRatio = 8192

// maxUnpacked returns the most that size bytes can unpack to.
func maxUnpacked(size int64) int64 { return size * min(maxRatio, (1<<63-1)/max(size, 1)) }

// NewLZMAReader returns a reader of an .lzma file's unpacked bytes.
func NewLZMAReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return newProbe(func(dictionary int64) io.Reader {
		return &lzmaReader{packed: io.NewSectionReader(r, 0, size), charge: charge, largest: dictionary}
	})
}

// lzmaReader opens the decoder on the first read.
type lzmaReader struct {
	packed  *io.SectionReader
	charge  archive.Charge
	largest int64 // limit for the dictionary
	from    io.Reader
	err     error
	broken  bool // the decoder failed, but may hold more bytes
}

// Read implements [io.Reader].
func (l *lzmaReader) Read(p []byte) (n int, err error) {
	if l.from == nil && l.err == nil {
		l.err = l.open()
	}
	if l.err != nil {
		return l.rest(p)
	}
	n, l.err = l.from.Read(p)
	l.broken = l.err != nil && !errors.Is(l.err, io.EOF)
	l.err = decoderError(l.err)
	if n > 0 || l.err == nil {
		return n, nil
	}
	return l.rest(p)
}

// rest reads the bytes that the decoder still holds after it failed. It does not return
// them with the error, and does not unpack more as long as it holds enough for a read.
func (l *lzmaReader) rest(p []byte) (int, error) {
	if l.broken && len(p) > 0 {
		n, err := l.from.Read(p[:1])
		if l.broken = err == nil && n > 0; l.broken {
			return n, nil
		}
	}
	return 0, l.err
}

// open starts the decoder with a dictionary that is no larger than necessary.
func (l *lzmaReader) open() error {
	var h [lzma.HeaderSize]byte
	if _, err := io.ReadFull(l.packed, h[:]); err != nil {
		return archive.CutOff(err)
	}
	_, unpacked := lzmaNumbers(h[:])
	size, largest := uint64(lzma.Unknown), uint64(min(l.largest, maxUnpacked(l.packed.Size())))
	if unpacked >= 0 {
		size = uint64(unpacked)
	}
	properties := h[:5]
	if err := l.charge(int64(lzma.Memory(properties, min(size, largest)))); err != nil {
		return err
	}
	from, err := lzma.NewReader(properties, size, largest, l.packed)
	l.from = from
	return archive.CutOff(err)
}

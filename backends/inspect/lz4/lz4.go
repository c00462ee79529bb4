// Package lz4 unpacks LZ4 files (lz4_Frame_format.md 1.6): frames, and the legacy format
// of Linux kernels. The format has no encryption.
//
// github.com/pierrec/lz4 is not used because it allocates blocks of up to 8 MiB, decodes
// hostile bytes in assembly, where recover does not help, and starts goroutines. A
// decoder is just a loop over lengths, with a 64 KiB window.
package lz4

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	magic       = 0x184d2204
	magicLegacy = 0x184c2102
	skippable   = 0x184d2a50 // to 0x184d2a5f
	windowSize  = 64 << 10
	// largestBlock is the limit of the legacy format, whose blocks may grow slightly.
	largestBlock = 8<<20 + 64<<10
)

var (
	errDamaged    = errors.New("damaged")
	errTrailing   = errors.New("unknown data after the end")
	errDictionary = archive.MethodError("needs a dictionary")
)

// Matches reports whether head begins an LZ4 file or a skippable frame, as in Zstandard.
func Matches(head []byte) bool {
	if len(head) < 8 {
		return false
	}
	m := binary.LittleEndian.Uint32(head)
	return m == magic || m == magicLegacy || m&^15 == skippable
}

// NewReader returns a reader of the unpacked bytes. It does not verify checksums, so that
// files that lz4 would reject are inspected too.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{from: bufio.NewReader(io.NewSectionReader(r, 0, size)), charge: charge}
}

// reader reads a sequence of frames.
type reader struct {
	from   *bufio.Reader
	charge archive.Charge
	err    error
	frames int

	inFrame  bool
	legacy   bool
	blockSum bool
	sum      bool

	// The current block: how many compressed bytes remain, and what remains to be
	// copied of the current sequence.
	inBlock  bool
	left     int64
	token    byte
	literals int64
	inMatch  bool // the token's match comes next
	match    int64
	distance int

	window []byte // ring buffer
	out    int64  // total bytes written to window
}

// Read implements [io.Reader].
func (l *reader) Read(p []byte) (n int, err error) {
	for n < len(p) && l.err == nil {
		switch {
		case l.literals > 0:
			var got int
			got, l.err = l.from.Read(p[n:min(int64(len(p)), int64(n)+l.literals)])
			l.keep(p[n : n+got])
			l.literals -= int64(got)
			n += got
			l.err = archive.CutOff(l.err)
		case l.match > 0:
			n += l.copy(p[n:])
		case l.inBlock:
			l.err = l.sequence()
		case l.inFrame:
			l.err = l.block()
		default:
			l.err = l.frame()
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, l.err
}

// keep appends p to the window.
func (l *reader) keep(p []byte) {
	for len(p) > 0 {
		n := copy(l.window[l.out%windowSize:], p)
		p = p[n:]
		l.out += int64(n)
	}
}

// copy copies as much of the match as fits.
func (l *reader) copy(p []byte) int {
	p = p[:min(int64(len(p)), l.match)]
	for i := range p {
		c := l.window[(l.out-int64(l.distance))%windowSize]
		p[i] = c
		l.window[l.out%windowSize] = c
		l.out++
	}
	l.match -= int64(len(p))
	return len(p)
}

// frame reads the next frame header, or returns [io.EOF] at the end of the file.
func (l *reader) frame() error {
	m, err := l.number()
	switch {
	case errors.Is(err, io.EOF) && l.frames == 0:
		return archive.ErrFormat
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return archive.CutOff(err)
	case m&^15 == skippable:
		n, err := l.number()
		if err != nil {
			return archive.CutOff(err)
		}
		return l.skip(int64(n))
	case m != magic && m != magicLegacy && l.frames == 0:
		return archive.ErrFormat
	case m != magic && m != magicLegacy:
		return errTrailing
	}
	if l.window == nil {
		if err := l.charge(windowSize); err != nil {
			return err
		}
		l.window = make([]byte, windowSize)
	}
	l.frames++
	l.inFrame, l.legacy, l.out = true, m == magicLegacy, 0
	if l.legacy {
		return nil
	}
	return l.descriptor()
}

// descriptor reads the frame descriptor.
func (l *reader) descriptor() error {
	const version, blockSum, hasSize, sum, dictionary = 0xc0, 0x10, 0x08, 0x04, 0x01
	flags, err := l.from.ReadByte()
	if err != nil {
		return archive.CutOff(err)
	}
	rest := int64(2) // the block size and the header checksum
	if flags&hasSize != 0 {
		rest += 8
	}
	switch {
	case flags&version != 0x40 && l.frames == 1:
		return archive.ErrFormat
	case flags&version != 0x40:
		return errDamaged
	case flags&dictionary != 0:
		return errDictionary
	}
	l.blockSum, l.sum = flags&blockSum != 0, flags&sum != 0
	return l.skip(rest)
}

// block reads the next block header, or the end of the frame.
func (l *reader) block() error {
	const storedFlag = 1 << 31
	if l.legacy {
		// A legacy frame has no end mark: it ends with the file or where a frame begins.
		b, err := l.from.Peek(4)
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return io.EOF
		}
		if len(b) == 4 && binary.LittleEndian.Uint32(b) > largestBlock {
			l.inFrame = false
			return nil
		}
	}
	n, err := l.number()
	switch {
	case err != nil:
		return archive.CutOff(err)
	case n == 0 && !l.legacy:
		l.inFrame = false
		if l.sum {
			return l.skip(4)
		}
		return nil
	case n&^storedFlag > largestBlock:
		return errDamaged
	}
	l.inBlock, l.inMatch, l.left = true, false, int64(n&^storedFlag)
	if n&storedFlag != 0 {
		l.literals, l.left = l.left, 0
	}
	return nil
}

// sequence reads the next part of a sequence: the number of literals, or the match that
// follows them.
func (l *reader) sequence() (err error) {
	if l.left == 0 {
		l.inBlock = false
		if l.blockSum && !l.legacy {
			return l.skip(4)
		}
		return nil
	}
	if !l.inMatch {
		if l.token, err = l.byte(); err != nil {
			return err
		}
		l.literals, err = l.length(int64(l.token >> 4))
		l.left -= l.literals
		l.inMatch = true
		if err == nil && l.left < 0 {
			err = errDamaged
		}
		return err
	}
	l.inMatch = false
	low, err := l.byte()
	if err != nil {
		return err
	}
	high, err := l.byte()
	if err != nil {
		return err
	}
	l.distance = int(low) | int(high)<<8
	if l.distance == 0 || int64(l.distance) > l.out {
		return errDamaged
	}
	l.match, err = l.length(int64(l.token & 15))
	l.match += 4
	return err
}

// length reads the rest of a length: bytes up to the first that is not 255.
func (l *reader) length(n int64) (int64, error) {
	for c := byte(255); n >= 15 && c == 255; n += int64(c) {
		var err error
		if c, err = l.byte(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// byte reads one byte of the block.
func (l *reader) byte() (byte, error) {
	if l.left--; l.left < 0 {
		return 0, errDamaged
	}
	b, err := l.from.ReadByte()
	return b, archive.CutOff(err)
}

func (l *reader) number() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(l.from, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

func (l *reader) skip(n int64) error {
	_, err := io.CopyN(io.Discard, l.from, n)
	return archive.CutOff(err)
}

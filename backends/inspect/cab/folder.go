package cab

import (
	"bufio"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// The compression methods of folders.
const (
	methodStored = iota
	methodMSZIP
	methodQuantum
	methodLZX
)

// folder reads the bytes of a folder.
type folder struct {
	*cabinet
	number uint16
	method uint16
	blocks uint16 // remaining
	next   int64  // offset of the next block
	at     int64  // bytes read
	mszip  *mszip
	stored io.Reader // rest of a stored block
	rest   []byte    // rest of an unpacked block
	err    error
}

// Read implements [io.Reader].
func (f *folder) Read(p []byte) (n int, err error) {
	for n == 0 && len(p) > 0 {
		switch {
		case len(f.rest) > 0:
			n = copy(p, f.rest)
			f.rest = f.rest[n:]
		case f.err != nil:
			return 0, f.err
		case f.stored != nil:
			n, f.err = f.stored.Read(p)
			if errors.Is(f.err, io.EOF) {
				f.stored, f.err = nil, nil
			}
		default:
			f.err = f.block()
		}
	}
	f.at += int64(n)
	return n, nil
}

// block opens the next block. At the end of the folder it returns [io.EOF].
func (f *folder) block() error {
	if f.blocks == 0 {
		return io.EOF
	}
	f.blocks--
	var h [blockSize]byte
	if err := archive.ReadFull(f.r, h[:], f.next); err != nil {
		return err
	}
	packed, unpacked := int64(binary.LittleEndian.Uint16(h[4:])), int(binary.LittleEndian.Uint16(h[6:]))
	at := f.next + blockSize + f.perItem.block
	f.next = at + packed
	if f.next > f.size {
		return archive.ErrCutOff
	}
	if unpacked == 0 {
		return errContinued
	}
	data := io.NewSectionReader(f.r, at, packed)
	if f.method == methodStored {
		f.stored = data
		return nil
	}
	var err error
	f.rest, err = f.mszip.unpack(data, unpacked)
	return err
}

// historySize is how far back a block may refer, and the largest unpacked block.
const historySize = 32 << 10

// mszip unpacks separately deflated blocks, each with the preceding output as its
// dictionary.
type mszip struct {
	input   *bufio.Reader
	inflate io.Reader
	history []byte
}

func newMSZIP() *mszip {
	z := &mszip{input: bufio.NewReader(nil), history: make([]byte, 0, 2*historySize)}
	z.inflate = flate.NewReader(z.input)
	return z
}

// unpack unpacks a block to n bytes, valid until the next call.
func (z *mszip) unpack(data io.Reader, n int) ([]byte, error) {
	var magic [2]byte
	if _, err := io.ReadFull(data, magic[:]); err != nil {
		return nil, archive.CutOff(err)
	}
	if string(magic[:]) != "CK" || n > historySize {
		return nil, errDamaged
	}
	if old := len(z.history) - historySize; old > 0 {
		z.history = append(z.history[:0], z.history[old:]...)
	}
	z.input.Reset(data)
	// Every flate reader is a Resetter, and Reset never fails.
	if r, ok := z.inflate.(flate.Resetter); ok {
		r.Reset(z.input, z.history)
	}
	begin := len(z.history)
	z.history = z.history[:begin+n]
	got, err := io.ReadFull(z.inflate, z.history[begin:])
	z.history = z.history[:begin+got]
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &corrupt):
		err = errDamaged
	}
	return z.history[begin:], err
}

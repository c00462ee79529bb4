// Package xz unpacks .xz files (.xz file format 1.2.1) and .lzma files (LZMA SDK,
// lzma-file-format.txt of XZ Utils). The formats have no encryption.
//
// The container is parsed here because github.com/ulikunitz/xz allocates whatever
// dictionary a file asks for, again for each block. Only its decoder is used, through
// package lzma, with a dictionary that has been charged for.
package xz

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/lzma"
)

// Signature begins an .xz file.
const Signature = "\xfd7zXZ\x00"

const (
	headerSize = 12 // stream header or footer
	footerEnd  = "YZ"
	maxFilters = 4
)

var (
	errDamaged  = errors.New("damaged")
	errData     = errors.New("damaged data")
	errTrailing = errors.New("unknown data after the end")
)

// Matches reports whether head begins an .xz file.
func Matches(head []byte) bool { return bytes.HasPrefix(head, []byte(Signature)) }

// NewReader returns a reader of the unpacked bytes of all streams and blocks. Checksums are
// not verified, so that files which xz would reject are inspected too.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	largest := largestBlock(r, size)
	return newProbe(func(dictionary int64) io.Reader {
		from := &counter{from: bufio.NewReader(io.NewSectionReader(r, 0, size))}
		return &reader{from: from, charge: charge, largest: min(largest, dictionary)}
	})
}

// reader reads a sequence of streams.
type reader struct {
	from     *counter
	charge   archive.Charge
	largest  int64     // limit for a block's dictionary
	block    io.Reader // nil between blocks
	start    int64     // offset of the block
	check    int64     // size of a block's checksum
	inStream bool
	err      error
}

// Read implements [io.Reader].
func (x *reader) Read(p []byte) (int, error) {
	for x.err == nil && len(p) > 0 {
		if x.block == nil {
			x.err = x.next()
			continue
		}
		n, err := x.block.Read(p)
		if errors.Is(err, io.EOF) {
			x.block, err = nil, x.endBlock()
		}
		x.err = cutOff(err)
		if n > 0 {
			return n, nil
		}
	}
	return 0, x.err
}

// cutOff maps a premature end to ErrCutOff.
func cutOff(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return archive.ErrCutOff
	}
	return err
}

// next opens the next block, or returns [io.EOF] at the end of the file.
func (x *reader) next() error {
	if !x.inStream {
		if err := x.header(); err != nil {
			return err
		}
		x.inStream = true
	}
	x.start = x.from.n
	n, err := x.from.ReadByte()
	if err != nil {
		return archive.ErrCutOff
	}
	if n == 0 {
		x.inStream = false
		return cutOff(x.index())
	}
	var b [1024]byte
	header := b[:(int(n)+1)*4]
	header[0] = n
	if _, err := io.ReadFull(x.from, header[1:]); err != nil {
		return archive.CutOff(err)
	}
	end := len(header) - 4
	if crc32.ChecksumIEEE(header[:end]) != binary.LittleEndian.Uint32(header[end:]) {
		return errDamaged
	}
	x.block, err = x.open(header[1:end])
	return cutOff(err)
}

// header reads a stream header and the padding before it.
func (x *reader) header() error {
	var h [headerSize]byte
	for {
		if _, err := io.ReadFull(x.from, h[:4]); err != nil {
			if errors.Is(err, io.EOF) && x.from.n > 0 {
				return io.EOF
			}
			return archive.CutOff(err)
		}
		if x.from.n == 4 || string(h[:4]) != "\x00\x00\x00\x00" {
			break
		}
	}
	if string(h[:4]) != Signature[:4] {
		return errTrailing
	}
	if _, err := io.ReadFull(x.from, h[4:]); err != nil {
		return archive.CutOff(err)
	}
	if string(h[:6]) != Signature || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errDamaged
	}
	x.check = checkSize(h[7])
	return nil
}

// checkSize returns the size of a checksum of this kind. Three kinds share each size.
func checkSize(kind byte) int64 {
	if kind &= 0x0f; kind > 0 {
		return 4 << ((kind - 1) / 3)
	}
	return 0
}

// open opens a block; h is its header after the first byte.
func (x *reader) open(h []byte) (io.Reader, error) {
	v := varints{h[1:]}
	if h[0]&0x40 != 0 {
		v.next() // the compressed size
	}
	unpacked := x.largest
	if h[0]&0x80 != 0 {
		unpacked = min(unpacked, v.next())
	}
	var undo []func(io.Reader) io.Reader // in encoding order
	for range int(h[0]&(maxFilters-1)) + 1 {
		id, properties := v.filter()
		if id == filterLZMA2 && len(properties) == 1 && properties[0] <= 40 {
			r, err := x.lzma2(properties[0], unpacked)
			if err != nil {
				return nil, err
			}
			for _, f := range slices.Backward(undo) {
				r = f(r)
			}
			return r, nil
		}
		f, err := newFilter(id, properties)
		if err != nil {
			return nil, err
		}
		undo = append(undo, f)
	}
	return nil, errDamaged
}

// lzma2 opens LZMA2 data whose dictionary size is coded in bits.
func (x *reader) lzma2(bits byte, unpacked int64) (io.Reader, error) {
	properties, size := []byte{bits}, uint64(unpacked)
	if err := x.charge(int64(lzma.Memory2(properties, size))); err != nil {
		return nil, err
	}
	r, err := lzma.NewReader2(properties, size, x.from)
	return decoder{r}, err
}

// decoder maps the decoder's errors, so that no filter takes one for the end.
type decoder struct{ from io.Reader }

// Read implements [io.Reader].
func (d decoder) Read(p []byte) (int, error) {
	n, err := d.from.Read(p)
	return n, decoderError(err)
}

func decoderError(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return archive.ErrCutOff
	}
	return errData
}

// endBlock skips a block's padding and checksum.
func (x *reader) endBlock() error {
	return x.skip(-(x.from.n-x.start)&3 + x.check)
}

func (x *reader) skip(n int64) error {
	if _, err := io.CopyN(io.Discard, x.from, n); err != nil {
		return archive.CutOff(err)
	}
	return nil
}

// index skips the index and the footer.
func (x *reader) index() error {
	count, err := binary.ReadUvarint(x.from)
	for i := uint64(0); i < count && err == nil; i++ {
		if _, err = binary.ReadUvarint(x.from); err == nil {
			_, err = binary.ReadUvarint(x.from)
		}
	}
	if err != nil {
		return archive.CutOff(err)
	}
	return x.skip(-(x.from.n-x.start)&3 + 4 + headerSize)
}

// counter counts the bytes read.
type counter struct {
	from *bufio.Reader
	n    int64
}

// Read implements [io.Reader].
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte implements [io.ByteReader].
func (c *counter) ReadByte() (byte, error) {
	b, err := c.from.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// varints parses the integers of a header. Beyond the end, all are zero.
type varints struct{ rest []byte }

// next returns an integer, capped at the largest int64.
func (v *varints) next() int64 {
	n, size := binary.Uvarint(v.rest)
	if size <= 0 {
		v.rest = nil
		return 0
	}
	v.rest = v.rest[size:]
	return int64(min(n, 1<<63-1))
}

// filter returns a filter's ID and properties.
func (v *varints) filter() (int64, []byte) {
	id, size := v.next(), v.next()
	if size > int64(len(v.rest)) {
		return id, nil
	}
	properties := v.rest[:size]
	v.rest = v.rest[size:]
	return id, properties
}

// Package lzma unpacks raw LZMA and LZMA2 streams, as archives contain them, and computes
// beforehand how much memory that takes.
//
// The decoder comes from github.com/ulikunitz/xz, which allocates whatever dictionary a
// stream asks for, up to 4 GiB. Here a dictionary is never larger than the output.
package lzma

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

var errProperties = errors.New("broken LZMA properties")

const (
	// Unknown is the size of a stream with an end marker.
	Unknown = 1<<64 - 1
	// HeaderSize is the size of an .lzma header: properties and size.
	HeaderSize = lzma.HeaderLen

	MinDictionary = lzma.MinDictCap
	MaxDictionary = lzma.MaxDictCap

	// tables is the memory for LZMA's probabilities, except those that depend on lc and lp.
	tables = 64 << 10
)

// Memory returns how much memory a reader needs for these properties and size bytes of
// output.
func Memory(properties []byte, size uint64) uint64 {
	if len(properties) != 5 {
		return 0
	}
	lc, lp := properties[0]%9, properties[0]/9%5
	return dictionary(properties, size) + tables + 0x300*2<<(lc+lp)
}

func dictionary(properties []byte, size uint64) uint64 {
	return max(min(uint64(binary.LittleEndian.Uint32(properties[1:])), size), MinDictionary)
}

// NewReader returns a reader of size unpacked bytes. most also bounds the dictionary.
func NewReader(properties []byte, size, most uint64, from io.Reader) (io.Reader, error) {
	if len(properties) != 5 {
		return nil, errProperties
	}
	// The library expects an .lzma file header.
	header := append([]byte(nil), properties[0])
	header = binary.LittleEndian.AppendUint32(header, uint32(dictionary(properties, min(size, most))))
	header = binary.LittleEndian.AppendUint64(header, size)
	return lzma.NewReader(&headerReader{header: header, from: bufio.NewReader(from)})
}

// Memory2 is Memory for LZMA2.
func Memory2(properties []byte, size uint64) uint64 {
	if len(properties) != 1 {
		return 0
	}
	return max(min(dictionary2(properties[0]), size), MinDictionary) + 2*tables
}

func dictionary2(p byte) uint64 {
	if p >= 40 {
		return 1<<32 - 1
	}
	return (2 | uint64(p&1)) << (p/2 + 11)
}

// NewReader2 returns a reader of LZMA2 whose dictionary has at most size bytes. If from is
// an [io.ByteReader], nothing beyond the end of the data is read.
func NewReader2(properties []byte, size uint64, from io.Reader) (io.Reader, error) {
	if len(properties) != 1 || properties[0] > 40 {
		return nil, errProperties
	}
	if _, ok := from.(io.ByteReader); !ok {
		from = bufio.NewReader(from)
	}
	d := max(min(dictionary2(properties[0]), size), MinDictionary)
	return lzma.Reader2Config{DictCap: int(d)}.NewReader2(from)
}

// headerReader reads header, then from. It is an io.ByteReader, so the library does not
// wrap it in a buffer.
type headerReader struct {
	header []byte
	from   *bufio.Reader
}

// Read implements [io.Reader].
func (r *headerReader) Read(p []byte) (int, error) {
	if len(r.header) > 0 {
		n := copy(p, r.header)
		r.header = r.header[n:]
		return n, nil
	}
	return r.from.Read(p)
}

// ReadByte implements [io.ByteReader].
func (r *headerReader) ReadByte() (byte, error) {
	if len(r.header) > 0 {
		c := r.header[0]
		r.header = r.header[1:]
		return c, nil
	}
	return r.from.ReadByte()
}

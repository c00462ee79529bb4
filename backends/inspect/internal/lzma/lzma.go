// Package lzma unpacks LZMA and LZMA2 as they are in archives, without a header
// of their own, and says beforehand how much memory that takes.
//
// The decoder is github.com/ulikunitz/xz's, which allocates as large a dictionary as
// it is asked for, up to 4 GiB. Here none is larger than what comes out.
package lzma

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

var errProperties = errors.New("broken properties of LZMA")

const (
	// Unknown is the size of what has an end marker instead.
	Unknown = 1<<64 - 1
	// HeaderSize is that of an .lzma file: the properties, and the size.
	HeaderSize = lzma.HeaderLen

	MinDictionary = lzma.MinDictCap
	MaxDictionary = lzma.MaxDictCap

	// tables are the probabilities of LZMA, but for those that lc and lp are for.
	tables = 64 << 10
)

// Memory is what a reader takes for these properties and size bytes.
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

// NewReader returns a reader of size bytes. most bounds the dictionary as well.
func NewReader(properties []byte, size, most uint64, from io.Reader) (io.Reader, error) {
	if len(properties) != 5 {
		return nil, errProperties
	}
	// The library wants the header of an .lzma file.
	header := append([]byte(nil), properties[0])
	header = binary.LittleEndian.AppendUint32(header, uint32(dictionary(properties, min(size, most))))
	header = binary.LittleEndian.AppendUint64(header, size)
	return lzma.NewReader(&headed{header: header, from: bufio.NewReader(from)})
}

// Memory2 is what a reader of LZMA2 takes.
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

// NewReader2 returns a reader of LZMA2, whose dictionary has no more than size bytes.
// It reads no more of from than there is of the data, if from is an [io.ByteReader].
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

// headed reads a header, then from. It is an io.ByteReader, so that the library
// needs no wrapper.
type headed struct {
	header []byte
	from   *bufio.Reader
}

// Read implements [io.Reader].
func (r *headed) Read(p []byte) (int, error) {
	if len(r.header) > 0 {
		n := copy(p, r.header)
		r.header = r.header[n:]
		return n, nil
	}
	return r.from.Read(p)
}

// ReadByte implements [io.ByteReader].
func (r *headed) ReadByte() (byte, error) {
	if len(r.header) > 0 {
		c := r.header[0]
		r.header = r.header[1:]
		return c, nil
	}
	return r.from.ReadByte()
}

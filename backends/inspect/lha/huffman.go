package lha

import (
	"bufio"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	maxBits = 16 // longest code
	// nCodes is the number of codes for literals and match lengths.
	nCodes   = 510
	nLengths = 19 // codes for code lengths
)

var errCode = errors.New("damaged code")

// codes is a canonical Huffman code.
type codes struct {
	count   [maxBits + 1]uint16 // codes per length
	symbols [nCodes]uint16
	only    int // the only symbol, coded in zero bits, or -1
}

// set builds the code from the length of each symbol.
func (c *codes) set(lengths []byte) error {
	c.only = -1
	clear(c.count[:])
	for _, n := range lengths {
		if n > maxBits {
			return errCode
		}
		c.count[n]++
	}
	c.count[0] = 0
	var next [maxBits + 2]uint16
	left := 1
	for n := 1; n <= maxBits; n++ {
		if left = left<<1 - int(c.count[n]); left < 0 {
			return errCode
		}
		next[n+1] = next[n] + c.count[n]
	}
	for symbol, n := range lengths {
		if n > 0 {
			c.symbols[next[n]] = uint16(symbol)
			next[n]++
		}
	}
	return nil
}

// bitReader reads bits, most significant first. The input is followed by zeros, which may
// be peeked at but not consumed.
type bitReader struct {
	from *bufio.Reader
	bits uint32
	n    int // number of bits in bits
	past int // how many of them are beyond the end
	err  error
}

// peek returns the next n bits.
func (b *bitReader) peek(n int) int {
	for b.n < n {
		c, err := b.from.ReadByte()
		if errors.Is(err, io.EOF) {
			b.past += 8
		} else if err != nil && b.err == nil {
			b.err = err
		}
		b.bits = b.bits<<8 | uint32(c)
		b.n += 8
	}
	return int(b.bits >> (b.n - n) & (1<<n - 1))
}

// read consumes n bits. It sets err when the input is exhausted.
func (b *bitReader) read(n int) int {
	v := b.peek(n)
	b.n -= n
	if b.n < b.past && b.err == nil {
		b.err = archive.ErrCutOff
	}
	return v
}

// symbol decodes one symbol.
func (b *bitReader) symbol(c *codes) int {
	if c.only >= 0 {
		return c.only
	}
	code, first, index := 0, 0, 0
	for n := 1; n <= maxBits; n++ {
		code |= b.read(1)
		count := int(c.count[n])
		if code-first < count {
			return int(c.symbols[index+code-first])
		}
		index += count
		first = (first + count) << 1
		code <<= 1
	}
	if b.err == nil {
		b.err = errCode
	}
	return 0
}

// small reads a code with few symbols, given by the length of each. After the first skip
// symbols, up to three may have no code.
func (b *bitReader) small(c *codes, most, width, skip int) {
	n := b.read(width)
	if n == 0 {
		c.only = b.read(width)
		return
	}
	var lengths [nLengths + 16]byte
	for i := 0; i < n && i < most && b.err == nil; {
		length := b.read(3)
		for length >= 7 && length <= maxBits && b.read(1) == 1 {
			length++
		}
		lengths[i] = byte(length)
		if i++; i == skip {
			i += b.read(2)
		}
	}
	if err := c.set(lengths[:most]); err != nil && b.err == nil {
		b.err = err
	}
}

// large reads the code for literals and match lengths, whose code lengths are Huffman-coded
// themselves.
func (b *bitReader) large(c, coded *codes) {
	const width = 9
	n := b.read(width)
	if n == 0 {
		c.only = b.read(width)
		return
	}
	var lengths [nCodes]byte
	for i := 0; i < n && i < nCodes && b.err == nil; {
		switch s := b.symbol(coded); s {
		case 0:
			i++
		case 1:
			i += 3 + b.read(4)
		case 2:
			i += 20 + b.read(width)
		default:
			lengths[i] = byte(s - 2)
			i++
		}
	}
	if err := c.set(lengths[:]); err != nil && b.err == nil {
		b.err = err
	}
}

package rar

import (
	"bufio"
	"errors"
	"io"
)

var (
	errStream = errors.New("rar: broken stream")
	errFilter = errors.New("rar: unusual filters")
	errPPMd   = errors.New("rar: PPMd is not supported")
	errSize   = errors.New("rar: more than the header says")
	errEnough = errors.New("rar: checked far enough")
)

// bitReader reads bits, most significant first. After an error it returns zeros: the error
// is io.EOF at the end of a block and io.ErrUnexpectedEOF at the end of the stream. It
// never reads past the last byte of a block.
type bitReader struct {
	from  *bufio.Reader
	cache uint64
	count int
	left  int64 // bits until the end of the block, negative if unknown
	err   error
}

func newBitReader(from io.Reader) *bitReader {
	return &bitReader{from: bufio.NewReader(from), left: -1}
}

// fill loads at least n bits into the cache.
func (b *bitReader) fill(n int) bool {
	for b.count < n && b.err == nil {
		c, err := b.from.ReadByte()
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			b.err = err
			break
		}
		b.cache, b.count = b.cache<<8|uint64(c), b.count+8
	}
	return b.count >= n
}

// bits consumes n bits, at most 32.
func (b *bitReader) bits(n int) uint32 {
	if b.left >= 0 && int64(n) > b.left {
		b.err = io.EOF
		return 0
	}
	if !b.fill(n) {
		return 0
	}
	b.count -= n
	if b.left >= 0 {
		b.left -= int64(n)
	}
	return uint32(b.cache >> b.count & (1<<n - 1))
}

// align skips to the next byte.
func (b *bitReader) align() { b.count -= b.count % 8 }

// number reads an integer of a RAR 3 filter.
func (b *bitReader) number() uint32 {
	switch b.bits(2) {
	case 0:
		return b.bits(4)
	case 1:
		high := b.bits(4)
		if high == 0 {
			return 0xffffff00 | b.bits(8)
		}
		return high<<4 | b.bits(4)
	case 2:
		return b.bits(16)
	}
	return b.bits(32)
}

const maxCode = 15

// code is a canonical Huffman code.
type code struct {
	counts  [maxCode + 1]int
	symbols []uint16
	quick   [1 << quickBits]uint16 // lookup table of short codes: symbol and length
}

const quickBits = 9

// set builds the code from the length of each symbol. An oversubscribed code is rejected,
// because it could be read in more than one way.
func (c *code) set(lengths []byte) error {
	c.counts = [maxCode + 1]int{}
	for _, n := range lengths {
		c.counts[n]++
	}
	c.counts[0] = 0
	var next, first [maxCode + 2]int
	code, total := 0, 0
	for n := 1; n <= maxCode; n++ {
		first[n], next[n] = code, total
		total += c.counts[n]
		if code += c.counts[n]; code > 1<<n {
			return errStream
		}
		code <<= 1
	}
	if cap(c.symbols) < total {
		c.symbols = make([]uint16, total)
	}
	c.symbols = c.symbols[:total]
	clear(c.quick[:])
	for s, n := range lengths {
		if n == 0 {
			continue
		}
		if n <= quickBits {
			at := first[n] << (quickBits - n)
			for i := range 1 << (quickBits - n) {
				c.quick[at+i] = uint16(s)<<4 | uint16(n)
			}
			first[n]++
		}
		c.symbols[next[n]] = uint16(s)
		next[n]++
	}
	return nil
}

// symbol decodes one symbol.
func (b *bitReader) symbol(c *code) int {
	if b.left >= 0 && b.left < quickBits {
		return b.slowSymbol(c)
	}
	if b.fill(quickBits) {
		if q := c.quick[b.cache>>(b.count-quickBits)&(1<<quickBits-1)]; q != 0 {
			n := int(q & 15)
			b.count -= n
			if b.left >= 0 {
				b.left -= int64(n)
			}
			return int(q >> 4)
		}
	} else if b.err == io.ErrUnexpectedEOF && b.count > 0 {
		b.err = nil // a short code may still fit
	}
	return b.slowSymbol(c)
}

// slowSymbol decodes one symbol bit by bit.
func (b *bitReader) slowSymbol(c *code) int {
	value, first, index := 0, 0, 0
	for n := 1; n <= maxCode; n++ {
		value |= int(b.bits(1))
		if b.err != nil {
			return 0
		}
		count := c.counts[n]
		if value-first < count {
			return int(c.symbols[index+value-first])
		}
		index += count
		first = (first + count) << 1
		value <<= 1
	}
	b.err = errStream
	return 0
}

// tables reads the code lengths. If add is set, they are relative to the old ones.
func (b *bitReader) tables(lengths []byte, add bool) {
	var own [20]byte
	for i := 0; i < len(own); i++ {
		n := b.bits(4)
		if n == 15 {
			if zeros := b.bits(4); zeros > 0 {
				i += int(zeros) + 1
				continue
			}
		}
		own[i] = byte(n)
	}
	var c code
	if b.err == nil {
		b.err = c.set(own[:])
	}
	for i := 0; i < len(lengths) && b.err == nil; {
		s := b.symbol(&c)
		if s < 16 {
			if add {
				s = (s + int(lengths[i])) & 15
			}
			lengths[i] = byte(s)
			i++
			continue
		}
		n := 0
		if s == 16 || s == 18 {
			n = int(b.bits(3)) + 3
		} else {
			n = int(b.bits(7)) + 11
		}
		value := byte(0)
		if s < 18 {
			if i == 0 {
				b.err = errStream
				return
			}
			value = lengths[i-1]
		}
		for ; n > 0 && i < len(lengths); n-- {
			lengths[i] = value
			i++
		}
	}
}

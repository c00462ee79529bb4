// Package inflate64 unpacks Deflate64, the variant of Deflate (RFC 1951) that PKWARE calls
// "enhanced": its window has 64 KiB, code 285 means lengths of up to 65,538 bytes, and
// there are two more distances. The standard library has Deflate only.
package inflate64

import (
	"bufio"
	"errors"
	"io"
)

var errCorrupt = errors.New("broken Deflate64 stream")

const windowSize = 1 << 16

// NewReader returns a reader of the unpacked bytes. It needs less than Memory bytes.
func NewReader(from io.Reader) io.Reader {
	in, ok := from.(io.ByteReader)
	if !ok {
		in = bufio.NewReader(from)
	}
	return &reader{in: in}
}

// Memory is the most that a reader allocates.
const Memory = 80 << 10

type reader struct {
	in     io.ByteReader
	bits   uint32
	count  uint
	final  bool
	block  bool // inside a block
	stored int  // bytes left in a stored block, or -1
	length int  // bytes left in a match
	back   int  // its distance
	total  int64
	err    error

	literals, distances code
	window              [windowSize]byte
	at                  int // write position
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && r.err == nil {
		switch {
		case r.length > 0:
			p[n] = r.put(r.window[(r.at-r.back)&(windowSize-1)])
			r.length--
			n++
		case !r.block:
			r.err = r.begin()
		case r.stored > 0:
			c, err := r.in.ReadByte()
			if err != nil {
				r.err = noEOF(err)
				break
			}
			p[n] = r.put(c)
			r.stored--
			n++
		case r.stored == 0:
			r.block = false
		default:
			c, literal, err := r.symbol()
			if r.err = err; literal {
				p[n] = r.put(c)
				n++
			}
		}
	}
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

func (r *reader) put(c byte) byte {
	r.window[r.at] = c
	r.at = (r.at + 1) & (windowSize - 1)
	r.total++
	return c
}

// need fills the bit buffer to at least n bits.
func (r *reader) need(n uint) error {
	for r.count < n {
		c, err := r.in.ReadByte()
		if err != nil {
			return noEOF(err)
		}
		r.bits |= uint32(c) << r.count
		r.count += 8
	}
	return nil
}

// take returns the next n bits, at most 16.
func (r *reader) take(n uint) (int, error) {
	if err := r.need(n); err != nil {
		return 0, err
	}
	v := r.bits & (1<<n - 1)
	r.bits, r.count = r.bits>>n, r.count-n
	return int(v), nil
}

// begin reads a block header.
func (r *reader) begin() error {
	if r.final {
		return io.EOF
	}
	h, err := r.take(3)
	if err != nil {
		return err
	}
	r.final, r.block, r.stored = h&1 != 0, true, -1
	switch h >> 1 {
	case 0:
		return r.beginStored()
	case 1:
		r.literals, r.distances = fixedLiterals, fixedDistances
		return nil
	case 2:
		return r.readCodes()
	}
	return errCorrupt
}

func (r *reader) beginStored() error {
	r.bits, r.count = r.bits>>(r.count%8), r.count/8*8
	size, err := r.take(16)
	if err != nil {
		return err
	}
	complement, err := r.take(16)
	if err == nil && size != complement^0xffff {
		err = errCorrupt
	}
	// need never reads ahead, so no byte is left in bits.
	r.stored = size
	return err
}

// symbol reads a literal, a match, or the end of the block.
func (r *reader) symbol() (c byte, literal bool, err error) {
	s, err := r.decode(&r.literals)
	switch {
	case err != nil:
		return 0, false, err
	case s < 256:
		return byte(s), true, nil
	case s == 256:
		r.block = false
		return 0, false, nil
	case s > 285:
		return 0, false, errCorrupt
	}
	extra, err := r.take(lengths[s-257].bits)
	if err != nil {
		return 0, false, err
	}
	length := lengths[s-257].base + extra
	if s, err = r.decode(&r.distances); err != nil {
		return 0, false, err
	}
	if extra, err = r.take(distances[s].bits); err != nil {
		return 0, false, err
	}
	r.back = distances[s].base + extra
	if int64(r.back) > r.total {
		return 0, false, errCorrupt
	}
	r.length = length
	return 0, false, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

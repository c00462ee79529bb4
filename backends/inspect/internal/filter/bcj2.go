package filter

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// BCJ2 returns a reader that reassembles an x86 program from its four streams: the program
// without the targets of its calls and jumps, the call targets, the jump targets, and the
// range-coded bits that say which instructions have a target.
func BCJ2(program, calls, jumps, bits io.Reader) (io.Reader, error) {
	r := &bcj2{
		program: bufio.NewReader(program), calls: bufio.NewReader(calls), jumps: bufio.NewReader(jumps),
		bits: bufio.NewReader(bits), width: 0xffffffff,
	}
	for i := range r.probs {
		r.probs[i] = bcj2One / 2
	}
	var start [5]byte
	if _, err := io.ReadFull(r.bits, start[:]); err != nil {
		return nil, err
	}
	if start[0] != 0 {
		return nil, errBCJ2
	}
	r.code = binary.BigEndian.Uint32(start[1:])
	return r, nil
}

var errBCJ2 = errors.New("broken BCJ2 stream")

const (
	bcj2One  = 1 << 11 // probability 1
	bcj2Move = 5
	bcj2Top  = 1 << 24
)

type bcj2 struct {
	program, calls, jumps, bits *bufio.Reader

	width, code uint32
	probs       [2 + 256]uint32

	before byte
	at     uint32 // bytes written
	target []byte // rest of the last instruction's target
	room   [4]byte
}

// Read implements [io.Reader].
func (r *bcj2) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(r.target) > 0 {
			copied := copy(p[n:], r.target)
			n, r.target = n+copied, r.target[copied:]
			continue
		}
		c, err := r.program.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = c
		n++
		r.at++
		if err := r.step(c); err != nil {
			return n, err
		}
	}
	return n, nil
}

// step decodes the target of an instruction that ends with c, if it has one.
func (r *bcj2) step(c byte) error {
	before := r.before
	r.before = c
	var probs *uint32
	from := r.jumps
	switch {
	case c == 0xe8:
		probs, from = &r.probs[2+int(before)], r.calls
	case c == 0xe9:
		probs = &r.probs[1]
	case before == 0x0f && c&0xf0 == 0x80:
		probs = &r.probs[0]
	default:
		return nil
	}
	has, err := r.bit(probs)
	if err != nil || !has {
		return err
	}
	if _, err := io.ReadFull(from, r.room[:]); err != nil {
		return noEOF(err)
	}
	r.at += 4
	binary.LittleEndian.PutUint32(r.room[:], binary.BigEndian.Uint32(r.room[:])-r.at)
	r.target, r.before = r.room[:], r.room[3]
	return nil
}

// bit decodes one bit with an adaptive probability.
func (r *bcj2) bit(probs *uint32) (bool, error) {
	if r.width < bcj2Top {
		c, err := r.bits.ReadByte()
		if err != nil {
			return false, noEOF(err)
		}
		r.width, r.code = r.width<<8, r.code<<8|uint32(c)
	}
	bound := r.width / bcj2One * *probs
	if r.code < bound {
		r.width = bound
		*probs += (bcj2One - *probs) >> bcj2Move
		return false, nil
	}
	r.width, r.code = r.width-bound, r.code-bound
	*probs -= *probs >> bcj2Move
	return true, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

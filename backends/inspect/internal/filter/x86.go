package filter

import (
	"encoding/binary"
	"io"
)

// X86 returns the BCJ filter for x86 code.
func X86(from io.Reader) io.Reader { return newReader(from, &x86{before: -1}) }

// x86 converts the absolute targets of CALL and JMP back to relative ones. Like the
// encoder, it skips an opcode that is too close to others that might have been one.
type x86 struct {
	at     uint32 // address of b in the program
	before int    // offset of the last opcode from the start of b
	mask   uint32 // which of the three preceding bytes were opcodes
}

func (x *x86) convert(b []byte) int {
	const instruction = 5
	i := 0
	for i+instruction <= len(b) {
		if b[i]&0xfe != 0xe8 {
			i++
			continue
		}
		if near := i - x.before; near > 3 {
			x.mask = 0
		} else {
			x.mask = x.mask << (near - 1) & 7
		}
		x.before = i
		if !x.allowed(b[i:]) || !isHigh(b[i+4]) {
			x.mask = x.mask<<1 | 1
			i++
			continue
		}
		binary.LittleEndian.PutUint32(b[i+1:], x.target(b[i:], x.at+uint32(i)+instruction))
		i += instruction
	}
	x.at += uint32(i)
	x.before -= i
	return i
}

// lastOpcode maps each mask to the distance from the last address byte to the byte where
// the nearest preceding opcode would have ended.
var lastOpcode = [8]uint{0, 1, 2, 2, 3, 3, 3, 3}

// allowed reports whether the encoder converted the opcode at the start of b in spite of
// the ones before it.
func (x *x86) allowed(b []byte) bool {
	if x.mask == 0 {
		return true
	}
	possible := x.mask == 1 || x.mask == 2 || x.mask == 4
	return possible && !isHigh(b[4-lastOpcode[x.mask]])
}

// target returns the relative address in the instruction b; next is the address of the
// following instruction.
func (x *x86) target(b []byte, next uint32) uint32 {
	v := binary.LittleEndian.Uint32(b[1:])
	for {
		v -= next
		if x.mask == 0 {
			break
		}
		shift := 8 * lastOpcode[x.mask]
		if !isHigh(byte(v >> (24 - shift))) {
			break
		}
		v ^= 1<<(32-shift) - 1
	}
	v &= 0x01ffffff
	return v | (0 - v&0x01000000)
}

func isHigh(b byte) bool { return b == 0 || b == 0xff }

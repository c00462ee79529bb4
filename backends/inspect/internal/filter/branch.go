package filter

import (
	"encoding/binary"
	"io"
)

// ARM returns the filter for 32-bit ARM code.
func ARM(from io.Reader) io.Reader {
	return fixed(from, 4, func(b []byte, at uint32) int {
		if b[3] == 0xeb { // BL
			v := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
			v = (v<<2 - (at + 8)) >> 2
			b[0], b[1], b[2] = byte(v), byte(v>>8), byte(v>>16)
		}
		return 4
	})
}

// ARMT returns the filter for ARM Thumb code.
func ARMT(from io.Reader) io.Reader {
	return fixed(from, 4, func(b []byte, at uint32) int {
		if b[1]&0xf8 != 0xf0 || b[3]&0xf8 != 0xf8 {
			return 2
		}
		v := uint32(b[1]&7)<<19 | uint32(b[0])<<11 | uint32(b[3]&7)<<8 | uint32(b[2])
		v = (v<<1 - (at + 4)) >> 1
		b[0], b[1] = byte(v>>11), 0xf0|byte(v>>19)&7
		b[2], b[3] = byte(v), 0xf8|byte(v>>8)&7
		return 4
	})
}

// ARM64 returns the filter for 64-bit ARM code that begins at address start.
func ARM64(from io.Reader, start uint32) io.Reader {
	return fixed(from, 4, func(b []byte, at uint32) int {
		at += start
		v := binary.LittleEndian.Uint32(b)
		switch {
		case v>>26 == 0x25: // BL
			v = 0x94000000 | (v-at>>2)&0x03ffffff
		case v&0x9f000000 == 0x90000000: // ADRP
			page := v>>29&3 | v>>3&0x1ffffc
			if (page+0x20000)&0x1c0000 != 0 {
				return 4
			}
			page -= at >> 12
			v = v&0x9000001f | page&3<<29 | page&0x3fffc<<3 | (0-page&0x20000)&0xe00000
		}
		binary.LittleEndian.PutUint32(b, v)
		return 4
	})
}

// PPC returns the filter for PowerPC code.
func PPC(from io.Reader) io.Reader {
	return fixed(from, 4, func(b []byte, at uint32) int {
		if v := binary.BigEndian.Uint32(b); v&0xfc000003 == 0x48000001 { // BL
			binary.BigEndian.PutUint32(b, 0x48000001|(v&0x03fffffc-at)&0x03fffffc)
		}
		return 4
	})
}

// SPARC returns the filter for SPARC code.
func SPARC(from io.Reader) io.Reader {
	return fixed(from, 4, func(b []byte, at uint32) int {
		if v := binary.BigEndian.Uint32(b); v>>22 == 0x100 || v>>22 == 0x1ff { // CALL
			v = (v<<2 - at) >> 2
			v = 0x40000000 - v&0x400000 | 0x40000000 | v&0x3fffff
			binary.BigEndian.PutUint32(b, v)
		}
		return 4
	})
}

// fixedFilter converts code whose instructions have a fixed size.
type fixedFilter struct {
	size int
	step func(b []byte, at uint32) int // converts one instruction and returns its size
	at   uint32                        // address of b in the program
}

func fixed(from io.Reader, size int, step func(b []byte, at uint32) int) io.Reader {
	return newReader(from, &fixedFilter{size: size, step: step})
}

func (f *fixedFilter) convert(b []byte) int {
	n := 0
	for n+f.size <= len(b) {
		n += f.step(b[n:], f.at+uint32(n))
	}
	f.at += uint32(n)
	return n
}

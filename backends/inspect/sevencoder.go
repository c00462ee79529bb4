package inspect

import "encoding/binary"

// sevenCoder is a method with its parameters.
type sevenCoder struct {
	ins, outs uint64
	memory    uint64
	known     bool
	filter    bool
	encrypted bool
}

// sevenMemory tells how much memory a method takes.
type sevenMemory func(properties []byte) uint64

// sevenMethods are those that members are unpacked for. Zstandard, Brotli and
// LZ4 are not 7-Zip's own, and their libraries start goroutines.
var sevenMethods = map[string]sevenMemory{
	"\x00":             sevenFlat(0),       // Copy
	"\x03":             sevenFlat(0),       // Delta
	"\x0a":             sevenFlat(0),       // ARM64
	"\x21":             lzma2Memory,        // LZMA2
	"\x03\x01\x01":     lzmaMemory,         // LZMA
	"\x03\x03\x01\x03": sevenFlat(0),       // BCJ
	"\x03\x03\x01\x1b": sevenFlat(1 << 16), // BCJ2
	"\x03\x03\x02\x05": sevenFlat(0),       // PPC
	"\x03\x03\x05\x01": sevenFlat(0),       // ARM
	"\x03\x03\x08\x05": sevenFlat(0),       // SPARC
	"\x03\x04\x01":     lzmaMemory,         // PPMD has its memory at the same place
	"\x04\x01\x08":     sevenFlat(1 << 16), // Deflate
	"\x04\x02\x02":     sevenFlat(4 << 20), // BZip2
}

// sevenFilters are the methods that only change what another has unpacked. At its
// end bodgit/sevenzip's Delta gives no bytes and no error for ever, so that
// nothing may read a filter but us, who give up.
var sevenFilters = map[string]bool{
	"\x03": true, "\x0a": true, "\x03\x03\x01\x03": true, "\x03\x03\x01\x1b": true,
	"\x03\x03\x02\x05": true, "\x03\x03\x05\x01": true, "\x03\x03\x08\x05": true,
}

// sevenEncryptions are the methods that encrypt.
var sevenEncryptions = map[string]bool{
	"\x06\xf1\x07\x01": true, // AES-256 with SHA-256
	"\x06\xf1\x01\x01": true, // ZipCrypto, and what else 7-Zip's Methods.txt reserves
	"\x06\xf1\x03\x01": true, // AES of RAR
}

func sevenFlat(n uint64) sevenMemory { return func([]byte) uint64 { return n } }

func lzmaMemory(properties []byte) uint64 {
	if len(properties) < 5 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(properties[1:]))
}

func lzma2Memory(properties []byte) uint64 {
	if len(properties) < 1 {
		return 0
	}
	p := properties[0] & 0x3f
	return (2 | uint64(p&1)) << (p/2 + 11)
}

func (r *sevenReader) coder() sevenCoder {
	flags := r.byte()
	id := r.bytes(uint64(flags & 0x0f))
	c := sevenCoder{ins: 1, outs: 1}
	if flags&0x10 != 0 {
		c.ins, c.outs = r.number(), r.number()
		if c.ins > maxSevenFlows || c.outs > maxSevenFlows {
			r.bad = true
			return sevenCoder{}
		}
	}
	var properties []byte
	if flags&0x20 != 0 {
		properties = r.bytes(r.number())
	}
	if flags&0xc0 != 0 { // reserved, and alternatives, which nobody writes
		r.bad = true
	}
	c.encrypted, c.filter = sevenEncryptions[string(id)], sevenFilters[string(id)]
	memory := sevenMethods[string(id)]
	if c.known = memory != nil; c.known {
		c.memory = memory(properties)
	}
	return c
}

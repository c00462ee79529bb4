package seven

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stangelandcl/ppmd"

	"polyclam/backends/inspect/internal/filter"
	"polyclam/backends/inspect/internal/inflate64"
	"polyclam/backends/inspect/internal/lzma"
)

// coder is a method with its parameters.
type coder struct {
	id         string
	properties []byte
	ins, outs  uint64
}

// method describes how to decode a coder.
type method struct {
	name string
	// memory returns what the decoder allocates for size bytes of output.
	memory func(properties []byte, size uint64) uint64
	open   func(properties []byte, size uint64, ins []io.Reader) (io.Reader, error)
	ins    int // number of inputs
}

// methods are the supported methods. None allocates because of a number in the archive that
// memory does not count.
var methods = map[string]method{
	"\x00":             {"Copy", flat(0), openCopy, 1},
	"\x03":             {"Delta", flat(buffers), openDelta, 1},
	"\x0a":             {"ARM64", flat(buffers), openARM64, 1},
	"\x21":             {"LZMA2", lzma.Memory2, openLZMA2, 1},
	"\x03\x01\x01":     {"LZMA", lzma.Memory, openLZMA, 1},
	"\x03\x03\x01\x03": {"BCJ", flat(buffers), plainFilter(filter.X86), 1},
	"\x03\x03\x01\x1b": {"BCJ2", flat(buffers), openBCJ2, 4},
	"\x03\x03\x02\x05": {"PPC", flat(buffers), plainFilter(filter.PPC), 1},
	"\x03\x03\x05\x01": {"ARM", flat(buffers), plainFilter(filter.ARM), 1},
	"\x03\x03\x07\x01": {"ARMT", flat(buffers), plainFilter(filter.ARMT), 1},
	"\x03\x03\x08\x05": {"SPARC", flat(buffers), plainFilter(filter.SPARC), 1},
	"\x03\x04\x01":     {"PPMd", ppmdMemory, openPPMd, 1},
	"\x04\x01\x08":     {"Deflate", flat(64 << 10), openDeflate, 1},
	"\x04\x01\x09":     {"Deflate64", flat(inflate64.Memory + 4096), openDeflate64, 1},
	"\x04\x02\x02":     {"BZip2", flat(4 << 20), openBZip2, 1},
}

// encryptions are the methods that encrypt.
var encryptions = map[string]bool{
	"\x06\xf1\x07\x01": true, // AES-256 with SHA-256
	"\x06\xf1\x01\x01": true, // ZipCrypto and others reserved in 7-Zip's Methods.txt
	"\x06\xf1\x03\x01": true, // AES of RAR
}

// others gives the operator names for unsupported methods.
var others = map[string]string{
	"\x04": "Delta", "\x05": "IA64", "\x0b": "RISCV", "\x03\x03\x04\x01": "IA64",
	"\x04\xf7\x11\x01": "Zstandard", "\x04\xf7\x11\x02": "Brotli", "\x04\xf7\x11\x04": "LZ4",
	"\x04\xf7\x11\x05": "LZ5", "\x04\xf7\x11\x06": "Lizard", "\x02\x03\x02": "Swap2", "\x02\x03\x04": "Swap4",
}

var errProperties = errors.New("broken properties of a 7z coder")

// buffers is the memory of a filter.
const buffers = 32 << 10

func flat(n uint64) func([]byte, uint64) uint64 {
	return func([]byte, uint64) uint64 { return n }
}

func ppmdMemory(properties []byte, _ uint64) uint64 {
	if len(properties) != 5 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(properties[1:])) + 64<<10
}

func openCopy(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) { return ins[0], nil }

func openDelta(properties []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	if len(properties) != 1 {
		return nil, errProperties
	}
	return filter.Delta(ins[0], int(properties[0])+1), nil
}

func openARM64(properties []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	start := uint32(0)
	if len(properties) == 4 {
		start = binary.LittleEndian.Uint32(properties)
	}
	return filter.ARM64(ins[0], start), nil
}

func plainFilter(open func(io.Reader) io.Reader) func([]byte, uint64, []io.Reader) (io.Reader, error) {
	return func(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) { return open(ins[0]), nil }
}

func openBCJ2(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return filter.BCJ2(ins[0], ins[1], ins[2], ins[3])
}

func openLZMA(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	return lzma.NewReader(properties, size, size, ins[0])
}

func openLZMA2(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	return lzma.NewReader2(properties, size, ins[0])
}

func openPPMd(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	const lowest, highest, smallest = 2, 64, 1 << 11
	if len(properties) != 5 || properties[0] < lowest || properties[0] > highest {
		return nil, errProperties
	}
	memory := binary.LittleEndian.Uint32(properties[1:])
	if memory < smallest {
		return nil, errProperties
	}
	r, err := ppmd.NewH7zReader(bufio.NewReader(ins[0]), int(properties[0]), int(memory), int(size))
	return &r, err
}

func openDeflate(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return flate.NewReader(bufio.NewReader(ins[0])), nil
}

func openDeflate64(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return inflate64.NewReader(ins[0]), nil
}

func openBZip2(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return bzip2.NewReader(bufio.NewReader(ins[0])), nil
}

func (r *reader) coder() coder {
	flags := r.byte()
	c := coder{id: string(r.bytes(uint64(flags & 0x0f))), ins: 1, outs: 1}
	if flags&0x10 != 0 {
		c.ins, c.outs = r.number(), r.number()
		if c.ins > maxFlows || c.outs > maxFlows {
			r.bad = true
			return coder{}
		}
	}
	if flags&0x20 != 0 {
		c.properties = r.bytes(r.number())
	}
	if flags&0xc0 != 0 { // reserved, and alternative coders, which no program writes
		r.bad = true
	}
	return c
}

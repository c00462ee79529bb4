package seven

import (
	"bufio"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"github.com/stangelandcl/ppmd"
	"github.com/ulikunitz/xz/lzma"

	"polyclam/backends/inspect/internal/filter"
	"polyclam/backends/inspect/internal/inflate64"
)

// sevenCoder is a method with its parameters.
type sevenCoder struct {
	id         string
	properties []byte
	ins, outs  uint64
}

// sevenMethod is how a coder's output is made.
type sevenMethod struct {
	name string
	// memory is what the coder takes to put out size bytes.
	memory func(properties []byte, size uint64) uint64
	open   func(properties []byte, size uint64, ins []io.Reader) (io.Reader, error)
	ins    int // its inputs
}

// sevenMethods are those that members are unpacked for. No method allocates by
// a number in the archive that memory has not counted.
var sevenMethods = map[string]sevenMethod{
	"\x00":             {"Copy", sevenFlat(0), openSevenCopy, 1},
	"\x03":             {"Delta", sevenFlat(sevenBuffers), openSevenDelta, 1},
	"\x0a":             {"ARM64", sevenFlat(sevenBuffers), openSevenARM64, 1},
	"\x21":             {"LZMA2", lzma2Memory, openSevenLZMA2, 1},
	"\x03\x01\x01":     {"LZMA", lzmaMemory, openSevenLZMA, 1},
	"\x03\x03\x01\x03": {"BCJ", sevenFlat(sevenBuffers), sevenFilter(filter.X86), 1},
	"\x03\x03\x01\x1b": {"BCJ2", sevenFlat(sevenBuffers), openSevenBCJ2, 4},
	"\x03\x03\x02\x05": {"PPC", sevenFlat(sevenBuffers), sevenFilter(filter.PPC), 1},
	"\x03\x03\x05\x01": {"ARM", sevenFlat(sevenBuffers), sevenFilter(filter.ARM), 1},
	"\x03\x03\x07\x01": {"ARMT", sevenFlat(sevenBuffers), sevenFilter(filter.ARMT), 1},
	"\x03\x03\x08\x05": {"SPARC", sevenFlat(sevenBuffers), sevenFilter(filter.SPARC), 1},
	"\x03\x04\x01":     {"PPMd", ppmdMemory, openSevenPPMd, 1},
	"\x04\x01\x08":     {"Deflate", sevenFlat(64 << 10), openSevenDeflate, 1},
	"\x04\x01\x09":     {"Deflate64", sevenFlat(inflate64.Memory + 4096), openSevenDeflate64, 1},
	"\x04\x02\x02":     {"BZip2", sevenFlat(4 << 20), openSevenBZip2, 1},
}

// sevenEncryptions are the methods that encrypt.
var sevenEncryptions = map[string]bool{
	"\x06\xf1\x07\x01": true, // AES-256 with SHA-256
	"\x06\xf1\x01\x01": true, // ZipCrypto, and what else 7-Zip's Methods.txt reserves
	"\x06\xf1\x03\x01": true, // AES of RAR
}

// sevenOthers are methods that are only named, for the operator.
var sevenOthers = map[string]string{
	"\x04": "Delta", "\x05": "IA64", "\x0b": "RISCV", "\x03\x03\x04\x01": "IA64",
	"\x04\xf7\x11\x01": "Zstandard", "\x04\xf7\x11\x02": "Brotli", "\x04\xf7\x11\x04": "LZ4",
	"\x04\xf7\x11\x05": "LZ5", "\x04\xf7\x11\x06": "Lizard", "\x02\x03\x02": "Swap2", "\x02\x03\x04": "Swap4",
}

var errSevenProperties = errors.New("broken properties of a 7z coder")

// sevenBuffers is what a filter takes.
const sevenBuffers = 32 << 10

func sevenFlat(n uint64) func([]byte, uint64) uint64 {
	return func([]byte, uint64) uint64 { return n }
}

// lzmaBuffers are the probabilities of LZMA with the largest parameters.
const lzmaBuffers = 64 << 10

// lzmaMemory counts the dictionary, which is never larger than what comes out.
func lzmaMemory(properties []byte, size uint64) uint64 {
	if len(properties) != 5 {
		return 0
	}
	return min(uint64(binary.LittleEndian.Uint32(properties[1:])), size) + lzmaTables(properties[0])
}

// lzmaTables is what the tables take that depend on lc and lp.
func lzmaTables(parameters byte) uint64 {
	lc, lp := parameters%9, parameters/9%5
	return lzmaBuffers + 0x300*2<<(lc+lp)
}

func lzma2Memory(properties []byte, size uint64) uint64 {
	if len(properties) != 1 {
		return 0
	}
	return min(lzma2Dictionary(properties[0]), size) + 2*lzmaBuffers
}

func lzma2Dictionary(p byte) uint64 {
	if p >= 40 {
		return 1<<32 - 1
	}
	return (2 | uint64(p&1)) << (p/2 + 11)
}

func ppmdMemory(properties []byte, _ uint64) uint64 {
	if len(properties) != 5 {
		return 0
	}
	return uint64(binary.LittleEndian.Uint32(properties[1:])) + 64<<10
}

func openSevenCopy(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) { return ins[0], nil }

func openSevenDelta(properties []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	if len(properties) != 1 {
		return nil, errSevenProperties
	}
	return filter.Delta(ins[0], int(properties[0])+1), nil
}

func openSevenARM64(properties []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	start := uint32(0)
	if len(properties) == 4 {
		start = binary.LittleEndian.Uint32(properties)
	}
	return filter.ARM64(ins[0], start), nil
}

func sevenFilter(open func(io.Reader) io.Reader) func([]byte, uint64, []io.Reader) (io.Reader, error) {
	return func(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) { return open(ins[0]), nil }
}

func openSevenBCJ2(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return filter.BCJ2(ins[0], ins[1], ins[2], ins[3])
}

// openSevenLZMA gives the library the header of an .lzma file. It makes the
// dictionary no larger than the size in it.
func openSevenLZMA(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	if len(properties) != 5 {
		return nil, errSevenProperties
	}
	header := binary.LittleEndian.AppendUint64(properties[:5:5], size)
	in := bufio.NewReader(ins[0])
	return lzma.NewReader(&headedReader{header: header, from: in})
}

func openSevenLZMA2(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	if len(properties) != 1 || properties[0] > 40 {
		return nil, errSevenProperties
	}
	dictionary := max(min(lzma2Dictionary(properties[0]), size), lzma.MinDictCap)
	return lzma.Reader2Config{DictCap: int(dictionary)}.NewReader2(bufio.NewReader(ins[0]))
}

func openSevenPPMd(properties []byte, size uint64, ins []io.Reader) (io.Reader, error) {
	const lowest, highest, smallest = 2, 64, 1 << 11
	if len(properties) != 5 || properties[0] < lowest || properties[0] > highest {
		return nil, errSevenProperties
	}
	memory := binary.LittleEndian.Uint32(properties[1:])
	if memory < smallest {
		return nil, errSevenProperties
	}
	r, err := ppmd.NewH7zReader(bufio.NewReader(ins[0]), int(properties[0]), int(memory), int(size))
	return &r, err
}

func openSevenDeflate(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return flate.NewReader(bufio.NewReader(ins[0])), nil
}

func openSevenDeflate64(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return inflate64.NewReader(ins[0]), nil
}

func openSevenBZip2(_ []byte, _ uint64, ins []io.Reader) (io.Reader, error) {
	return bzip2.NewReader(bufio.NewReader(ins[0])), nil
}

// headedReader reads a header, then from. It is an io.ByteReader, for which
// lzma reads byte by byte without a wrapper.
type headedReader struct {
	header []byte
	from   *bufio.Reader
}

func (r *headedReader) Read(p []byte) (int, error) {
	if len(r.header) > 0 {
		n := copy(p, r.header)
		r.header = r.header[n:]
		return n, nil
	}
	return r.from.Read(p)
}

func (r *headedReader) ReadByte() (byte, error) {
	if len(r.header) > 0 {
		c := r.header[0]
		r.header = r.header[1:]
		return c, nil
	}
	return r.from.ReadByte()
}

func (r *sevenReader) coder() sevenCoder {
	flags := r.byte()
	c := sevenCoder{id: string(r.bytes(uint64(flags & 0x0f))), ins: 1, outs: 1}
	if flags&0x10 != 0 {
		c.ins, c.outs = r.number(), r.number()
		if c.ins > maxSevenFlows || c.outs > maxSevenFlows {
			r.bad = true
			return sevenCoder{}
		}
	}
	if flags&0x20 != 0 {
		c.properties = r.bytes(r.number())
	}
	if flags&0xc0 != 0 { // reserved, and alternatives, which nobody writes
		r.bad = true
	}
	return c
}

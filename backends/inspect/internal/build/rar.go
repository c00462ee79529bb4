package build

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// RARFile is a member of a RAR archive.
type RARFile struct {
	Name      string
	Data      []byte
	Encrypted bool
	Packed    bool   // in compressed form, though not smaller
	Raw       []byte // compressed bytes to use instead
	Solid     bool
	Flags     uint16 // RAR 4: additional flags
	Version   byte   // RAR 4: 29 if 0
	Large     bool   // RAR 4: 64-bit sizes
	DictBits  uint64 // RAR 5: dictionary size
	Filters   int    // RAR 5: number of filters
	Unpacked  int64  // declared size, if not that of Data
}

func (f *RARFile) size() int64 {
	if f.Unpacked != 0 {
		return f.Unpacked
	}
	return int64(len(f.Data))
}

// rar4Block returns a block of RAR 1.5 to 4.
func rar4Block(kind byte, flags uint16, body []byte) []byte {
	h := []byte{kind}
	h = binary.LittleEndian.AppendUint16(h, flags)
	h = binary.LittleEndian.AppendUint16(h, uint16(7+len(body)))
	h = append(h, body...)
	return append(binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE(h))), h...)
}

// RAR4 returns an archive of RAR 3 or 4; flags are those of its main header.
func RAR4(flags uint16, files ...RARFile) []byte {
	out := append([]byte(RARSignature4), rar4Block(RAR4Main, flags, make([]byte, 6))...)
	for _, f := range files {
		data, method := f.Data, byte(0x30)
		if f.Packed {
			data, method = PackLiterals29(f.Data), 0x33
		}
		if f.Raw != nil {
			data, method = f.Raw, 0x35
		}
		fl := f.Flags | RAR4HasData
		if f.Encrypted {
			fl |= RAR4FileEncrypted
		}
		if f.Solid {
			fl |= RAR4FileSolid
		}
		if f.Large {
			fl |= RAR4FileLarge
		}
		version := f.Version
		if version == 0 {
			version = 29
		}
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(f.size()))
		b = append(b, 3) // Unix
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(f.Data))
		b = append(b, 0, 0, 0x21, 0x58, version, method)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
		b = append(b, 0xa4, 0x81, 0, 0)
		if f.Large {
			b = append(b, 0, 0, 0, 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(f.size()>>32))
		}
		b = append(b, f.Name...)
		out = append(append(out, rar4Block(RAR4File, fl, b)...), data...)
	}
	return append(out, rar4Block(RAR4End, 0x4000, nil)...)
}

// rar5Block returns a block of RAR 5; body and extra depend on its kind.
func rar5Block(kind, flags uint64, body, extra, data []byte) []byte {
	h := binary.AppendUvarint(nil, kind)
	if len(extra) > 0 {
		flags |= RAR5HasExtra
	}
	if data != nil {
		flags |= RAR5HasData
	}
	h = binary.AppendUvarint(h, flags)
	if len(extra) > 0 {
		h = binary.AppendUvarint(h, uint64(len(extra)))
	}
	if data != nil {
		h = binary.AppendUvarint(h, uint64(len(data)))
	}
	h = append(append(h, body...), extra...)
	h = append(binary.AppendUvarint(nil, uint64(len(h))), h...)
	out := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(h))
	return append(append(out, h...), data...)
}

// rar5Crypt returns the encryption record of a member.
func rar5Crypt() []byte {
	record := []byte{RAR5ExtraEncrypted, 0, 0, 15}
	record = append(record, bytes.Repeat([]byte{0x5a}, 32)...)
	return append(binary.AppendUvarint(nil, uint64(len(record))), record...)
}

// RAR5 returns an archive of RAR 5.
func RAR5(files ...RARFile) []byte {
	out := []byte(RARSignature5)
	solid := uint64(0)
	for _, f := range files {
		if f.Solid {
			solid = 4
		}
	}
	out = append(out, rar5Block(1, 0, binary.AppendUvarint(nil, solid), nil, nil)...)
	for _, f := range files {
		data, how := f.Data, uint64(0)
		if f.Packed {
			data, how = PackLiterals50(f.Data), 3<<7|f.DictBits<<10
			if f.Filters > 0 {
				data = PackFilters50(f.Filters, f.Data)
			}
		}
		if f.Raw != nil {
			data, how = f.Raw, 3<<7|f.DictBits<<10
		}
		if f.Solid {
			how |= 0x40
		}
		body := binary.AppendUvarint(nil, RAR5HasSum)
		body = binary.AppendUvarint(body, uint64(f.size()))
		body = binary.AppendUvarint(body, 0o644)
		body = binary.LittleEndian.AppendUint32(body, crc32.ChecksumIEEE(f.Data))
		body = binary.AppendUvarint(body, how)
		body = binary.AppendUvarint(body, 1)
		body = binary.AppendUvarint(body, uint64(len(f.Name)))
		body = append(body, f.Name...)
		var extra []byte
		if f.Encrypted {
			extra = rar5Crypt()
		}
		out = append(out, rar5Block(RAR5File, 0, body, extra, data)...)
	}
	return append(out, rar5Block(RAR5End, 0, []byte{0}, nil, nil)...)
}

// RAR5Locked returns an archive with encrypted headers.
func RAR5Locked() []byte {
	body := append([]byte{0, 0, 15}, bytes.Repeat([]byte{0x5a}, 16)...)
	out := append([]byte(RARSignature5), rar5Block(RAR5Encrypt, 0, body, nil, nil)...)
	return append(out, bytes.Repeat([]byte{0xa5}, 64)...)
}

// bitWriter writes bits, most significant first.
type bitWriter struct {
	b []byte
	n int
}

func (w *bitWriter) bits(v uint32, n int) {
	for i := n - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(v>>i&1) << (7 - w.n%8)
		w.n++
	}
}

// literals writes the code lengths for a table of size entries, the first used of which
// have codes, and then data as literals: bytes below 128 have 8 bits, the others 9. In the
// code for code lengths, 8 is 00, 9 is 01, "repeat" is 10 and "zeros" is 11.
func (w *bitWriter) literals(size, used int, data []byte) {
	lengths := map[int]uint32{8: 2, 9: 2, 17: 2, 19: 2}
	for i := range 20 {
		w.bits(lengths[i], 4)
	}
	run := func(code uint32, n int) {
		w.bits(code, 2)
		w.bits(uint32(n-11), 7)
	}
	w.bits(0, 2)
	run(2, 127)
	w.bits(1, 2)
	run(2, used-129)
	for left := size - used; left > 0; {
		n := min(left, 11+127)
		if left-n > 0 && left-n < 11 {
			n -= 11
		}
		run(3, n)
		left -= n
	}
	for _, c := range data {
		w.literal(int(c))
	}
}

func (w *bitWriter) literal(c int) {
	if c < 128 {
		w.bits(uint32(c), 8)
		return
	}
	w.bits(uint32(256+c-128), 9)
}

// PackLiterals29 encodes data in RAR 3's format without compressing it.
func PackLiterals29(data []byte) []byte {
	var w bitWriter
	w.bits(0, 2) // not PPM, new tables
	w.literals(299+60+17+28, 257, data)
	w.literal(256)
	w.bits(1, 2) // end of file, new tables follow
	return append(w.b, 0, 0, 0, 0)
}

// PackPPMd29 returns the beginning of a stream that requests 256 MiB for PPMd.
func PackPPMd29() []byte {
	const ppmd, newModel, order = 0x80, 0x20, 7
	return append([]byte{ppmd | newModel | order, 255}, make([]byte, 300)...)
}

// PackLaterPPMd29 is PackPPMd29, but in the second block of the stream.
func PackLaterPPMd29(data []byte) []byte {
	var w bitWriter
	w.bits(0, 2)
	w.literals(299+60+17+28, 257, data)
	w.literal(256)
	w.bits(1, 1) // another block follows
	return append(w.b, PackPPMd29()...)
}

// PackLiterals50 encodes data in RAR 5's format without compressing it.
func PackLiterals50(data []byte) []byte {
	var w bitWriter
	w.literals(306+64+16+44, 256, data)
	return w.block50()
}

// PackFilters50 encodes data preceded by filters that each cover all but one byte of it.
func PackFilters50(filters int, data []byte) []byte {
	var w bitWriter
	w.literals(306+64+16+44, 257, nil)
	for range filters {
		w.literal(256)
		w.bits(0, 2+8) // block start: here
		w.bits(3, 2)   // block size, in four bytes
		w.bits(binary.BigEndian.Uint32(binary.LittleEndian.AppendUint32(nil, uint32(len(data)-1))), 32)
		w.bits(0, 3+5) // delta, one channel
	}
	for _, c := range data {
		w.literal(int(c))
	}
	return w.block50()
}

// block50 returns the bits with a block header.
func (w *bitWriter) block50() []byte {
	last := w.n % 8
	if last == 0 {
		last = 8
	}
	flags := byte(0xc0 | 2<<3 | (last - 1))
	n := len(w.b)
	size := []byte{byte(n), byte(n >> 8), byte(n >> 16)}
	out := []byte{flags, 0x5a ^ flags ^ size[0] ^ size[1] ^ size[2]}
	return append(append(out, size...), w.b...)
}

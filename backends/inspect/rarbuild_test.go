package inspect

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// rarFile is a member of a RAR archive to make.
type rarFile struct {
	name      string
	data      []byte
	encrypted bool
	packed    bool   // compressed, after a fashion
	raw       []byte // the compressed bytes
	solid     bool
	flags     uint16 // RAR 4: more of them
	version   byte   // RAR 4: 29 if 0
	large     bool   // RAR 4: sizes of 64 bits
	dictBits  uint64 // RAR 5
	filters   int    // RAR 5: so many of them
	unpacked  int64  // if not the size of data
}

func (f *rarFile) size() int64 {
	if f.unpacked != 0 {
		return f.unpacked
	}
	return int64(len(f.data))
}

// rar4Block makes a block of RAR 1.5 to 4.
func rar4Block(kind byte, flags uint16, body []byte) []byte {
	h := []byte{kind}
	h = binary.LittleEndian.AppendUint16(h, flags)
	h = binary.LittleEndian.AppendUint16(h, uint16(7+len(body)))
	h = append(h, body...)
	return append(binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE(h))), h...)
}

// makeRAR4 makes an archive; flags are those of its main header.
func makeRAR4(flags uint16, files ...rarFile) []byte {
	out := append([]byte(rarSignature4), rar4Block(rar4Main, flags, make([]byte, 6))...)
	for _, f := range files {
		data, method := f.data, byte(0x30)
		if f.packed {
			data, method = packLiterals29(f.data), 0x33
		}
		if f.raw != nil {
			data, method = f.raw, 0x35
		}
		fl := f.flags | rar4HasData
		if f.encrypted {
			fl |= rar4FileEncrypted
		}
		if f.solid {
			fl |= rar4FileSolid
		}
		if f.large {
			fl |= rar4FileLarge
		}
		version := f.version
		if version == 0 {
			version = 29
		}
		b := binary.LittleEndian.AppendUint32(nil, uint32(len(data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(f.size()))
		b = append(b, 3) // Unix
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(f.data))
		b = append(b, 0, 0, 0x21, 0x58, version, method)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.name)))
		b = append(b, 0xa4, 0x81, 0, 0)
		if f.large {
			b = append(b, 0, 0, 0, 0)
			b = binary.LittleEndian.AppendUint32(b, uint32(f.size()>>32))
		}
		b = append(b, f.name...)
		out = append(append(out, rar4Block(rar4File, fl, b)...), data...)
	}
	return append(out, rar4Block(rar4End, 0x4000, nil)...)
}

// rar5Block makes a block of RAR 5; body and extra are what its kind needs.
func rar5Block(kind, flags uint64, body, extra, data []byte) []byte {
	h := binary.AppendUvarint(nil, kind)
	if len(extra) > 0 {
		flags |= rar5HasExtra
	}
	if data != nil {
		flags |= rar5HasData
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

// rar5Crypt is the record of an encrypted member, and the body of an encryption
// block without the initialisation vector.
func rar5Crypt() []byte {
	record := []byte{rar5ExtraEncrypted, 0, 0, 15}
	record = append(record, bytes.Repeat([]byte{0x5a}, 32)...)
	return append(binary.AppendUvarint(nil, uint64(len(record))), record...)
}

func makeRAR5(files ...rarFile) []byte {
	out := []byte(rarSignature5)
	solid := uint64(0)
	for _, f := range files {
		if f.solid {
			solid = 4
		}
	}
	out = append(out, rar5Block(1, 0, binary.AppendUvarint(nil, solid), nil, nil)...)
	for _, f := range files {
		data, how := f.data, uint64(0)
		if f.packed {
			data, how = packLiterals50(f.data), 3<<7|f.dictBits<<10
			if f.filters > 0 {
				data = packFilters50(f.filters, f.data)
			}
		}
		if f.raw != nil {
			data, how = f.raw, 3<<7|f.dictBits<<10
		}
		if f.solid {
			how |= 0x40
		}
		body := binary.AppendUvarint(nil, rar5HasSum)
		body = binary.AppendUvarint(body, uint64(f.size()))
		body = binary.AppendUvarint(body, 0o644)
		body = binary.LittleEndian.AppendUint32(body, crc32.ChecksumIEEE(f.data))
		body = binary.AppendUvarint(body, how)
		body = binary.AppendUvarint(body, 1)
		body = binary.AppendUvarint(body, uint64(len(f.name)))
		body = append(body, f.name...)
		var extra []byte
		if f.encrypted {
			extra = rar5Crypt()
		}
		out = append(out, rar5Block(rar5File, 0, body, extra, data)...)
	}
	return append(out, rar5Block(rar5End, 0, []byte{0}, nil, nil)...)
}

// makeRAR5Locked is an archive with encrypted headers.
func makeRAR5Locked() []byte {
	body := append([]byte{0, 0, 15}, bytes.Repeat([]byte{0x5a}, 16)...)
	out := append([]byte(rarSignature5), rar5Block(rar5Encrypt, 0, body, nil, nil)...)
	return append(out, bytes.Repeat([]byte{0xa5}, 64)...)
}

// bitWriter writes bits, the highest first.
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

// literals writes code lengths for a table of size entries, of which used have
// codes, and then the bytes: those below 128 have 8 bits, and the others 9. The
// codes of the lengths' table: 8 is 00, 9 is 01, "again" 10, "zeros" 11.
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

// packLiterals29 is data in the format of RAR 3, without any compression.
func packLiterals29(data []byte) []byte {
	var w bitWriter
	w.bits(0, 2) // not PPM, new tables
	w.literals(299+60+17+28, 257, data)
	w.literal(256)
	w.bits(1, 2) // the file ends here, and new tables follow
	return append(w.b, 0, 0, 0, 0)
}

// packPPMd29 is the beginning of a stream that asks for 256 MiB.
func packPPMd29() []byte {
	const ppmd, newModel, order = 0x80, 0x20, 7
	return append([]byte{ppmd | newModel | order, 255}, make([]byte, 300)...)
}

// packLaterPPMd29 asks for it in the second block.
func packLaterPPMd29(data []byte) []byte {
	var w bitWriter
	w.bits(0, 2)
	w.literals(299+60+17+28, 257, data)
	w.literal(256)
	w.bits(1, 1) // another block follows
	return append(w.b, packPPMd29()...)
}

// packLiterals50 is data in the format of RAR 5, without any compression.
func packLiterals50(data []byte) []byte {
	var w bitWriter
	w.literals(306+64+16+44, 256, data)
	return w.block50()
}

// packFilters50 is data behind that many filters for all of it but one byte.
func packFilters50(filters int, data []byte) []byte {
	var w bitWriter
	w.literals(306+64+16+44, 257, nil)
	for range filters {
		w.literal(256)
		w.bits(0, 2+8) // where: here
		w.bits(3, 2)   // its size, in four bytes
		w.bits(binary.BigEndian.Uint32(binary.LittleEndian.AppendUint32(nil, uint32(len(data)-1))), 32)
		w.bits(0, 3+5) // delta, one channel
	}
	for _, c := range data {
		w.literal(int(c))
	}
	return w.block50()
}

// block50 puts a block's header before the bits.
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

package rar

import (
	"bytes"
	"hash/crc32"
)

// filter is a filter defined by a stream.
type filter struct {
	channels bool   // its first register counts channels
	length   uint32 // length of the last block
}

// filters are RAR 3's standard filters, by checksum and length of their programs. No
// other program is known, and unrar runs none.
var filters = map[[2]uint32]filter{
	{0xad576887, 53}:  {},               // x86 CALL
	{0x3cd7e57e, 57}:  {},               // x86 CALL and JMP
	{0x3769893f, 120}: {},               // Itanium
	{0x0e06077d, 29}:  {channels: true}, // delta
	{0x1c2c5dc8, 149}: {},               // RGB
	{0xbc85e701, 216}: {channels: true}, // audio
}

// filter29 reads a filter.
func (s *stream) filter29() error {
	b := s.bits
	flags := b.bits(8)
	size := int(flags&7) + 1
	switch size {
	case 7:
		size = int(b.bits(8)) + 7
	case 8:
		size = int(b.bits(16))
	}
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(b.bits(8))
	}
	if b.err != nil {
		return b.err
	}
	return s.parseFilter29(flags, newBitReader(bytes.NewReader(data)))
}

func (s *stream) parseFilter29(flags uint32, b *bitReader) error {
	const (
		hasNumber, far, hasLength, hasRegisters, hasData = 0x80, 0x40, 0x20, 0x10, 0x08
		maxChannels, maxFilters                          = 1024, 1024
	)
	if flags&hasNumber != 0 {
		n := b.number()
		if n == 0 {
			s.filters = nil
		} else {
			n--
		}
		if n > uint32(len(s.filters)) || n > maxFilters {
			return errFilter
		}
		s.filter = int(n)
	}
	b.number() // block start
	length, hasOwn := uint32(0), flags&hasLength != 0
	if hasOwn {
		length = b.number()
	}
	channels := uint32(0)
	if flags&hasRegisters != 0 {
		mask := b.bits(7)
		for i := range 7 {
			if mask>>i&1 == 1 {
				if n := b.number(); i == 0 {
					channels = n
				}
			}
		}
	}
	if s.filter == len(s.filters) {
		f, err := readFilter(b)
		if err != nil {
			return err
		}
		if !hasOwn {
			return errFilter
		}
		s.filters = append(s.filters, f)
	}
	f := &s.filters[s.filter]
	if hasOwn {
		f.length = length
	}
	if b.err != nil || f.channels && channels > maxChannels {
		return errFilter
	}
	return s.filterOver(int64(f.length))
}

// readFilter reads a filter's program.
func readFilter(b *bitReader) (filter, error) {
	const most = 216
	size := b.number()
	if size == 0 || size > most {
		return filter{}, errFilter
	}
	program := make([]byte, size)
	for i := range program {
		program[i] = byte(b.bits(8))
	}
	f, ok := filters[[2]uint32{crc32.ChecksumIEEE(program), size}]
	if !ok {
		return filter{}, errFilter
	}
	return f, nil
}

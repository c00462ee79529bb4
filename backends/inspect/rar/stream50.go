package rar

import "io"

// method50 checks a stream of RAR 5, or of RAR 7 with its longer distances.
func (s *stream) method50(version byte) error {
	const filters, low, length, main = 256, 16, 44, 306
	distance := 64
	if version > 0 {
		distance = 80
	}
	b := s.bits
	last, err := s.block50(main, distance, low, length)
	for err == nil {
		symbol := b.symbol(&s.main)
		if b.err == io.EOF && b.left >= 0 {
			// The end of the block. An incomplete symbol is ignored.
			if last {
				return nil
			}
			last, err = s.block50(main, distance, low, length)
			continue
		}
		if b.err != nil {
			return b.err
		}
		switch {
		case symbol < filters:
			err = s.put(1)
		case symbol == filters:
			err = s.filter50()
		case symbol == 257:
			err = s.put(s.lastLength)
		case symbol < 262:
			s.lastLength = s.length50(b.symbol(&s.length))
			err = s.put(s.lastLength)
		default:
			s.lastLength = s.length50(symbol-262) + s.distance50()
			err = s.put(s.lastLength)
		}
		if err == nil && b.err != nil {
			err = errStream
		}
	}
	return err
}

// block50 reads a block header, and its tables if present.
func (s *stream) block50(main, distance, low, length int) (last bool, err error) {
	b := s.bits
	b.count, b.left, b.err = 0, -1, nil
	flags, sum := b.bits(8), b.bits(8)
	check := 0x5a ^ flags
	size := uint32(0)
	bytes := flags>>3&3 + 1
	for i := range bytes {
		n := b.bits(8)
		check ^= n
		size |= n << (8 * i)
	}
	if b.err != nil {
		return false, b.err
	}
	if bytes == 4 || check&0xff != sum || size == 0 {
		return false, errStream
	}
	b.left = int64(size-1)*8 + int64(flags&7) + 1
	if flags&0x80 != 0 {
		b.tables(s.lengths[:main+distance+low+length], false)
		if b.err != nil {
			return false, errStream
		}
		err = s.setCodes(main, distance, low, length)
	}
	return flags&0x40 != 0, err
}

func (s *stream) length50(slot int) int {
	if slot < 8 {
		return slot + 2
	}
	bits := slot/4 - 1
	return (4|slot&3)<<bits + int(s.bits.bits(bits)) + 2
}

// distance50 reads a distance and returns how much it adds to the length.
func (s *stream) distance50() (more int) {
	b := s.bits
	slot := b.symbol(&s.distance)
	distance := uint64(slot)
	if slot >= 4 {
		bits := slot/2 - 1
		distance = (2 | uint64(slot&1)) << bits
		if bits >= 4 {
			high := uint64(0)
			if rest := bits - 4; rest > 24 {
				high = uint64(b.bits(rest-24)) << 24
				bits = 28
			}
			distance += (high | uint64(b.bits(bits-4))) << 4
			distance += uint64(b.symbol(&s.low))
		} else {
			distance += uint64(b.bits(bits))
		}
	}
	for _, n := range []uint64{0x100, 0x2000, 0x40000} {
		if distance+1 > n {
			more++
		}
	}
	return more
}

// filter50 reads a filter.
func (s *stream) filter50() error {
	b := s.bits
	number := func() (n uint32) {
		for i := range b.bits(2) + 1 {
			n |= b.bits(8) << (8 * i)
		}
		return n
	}
	number() // block start
	length := number()
	if kind := b.bits(3); kind == 0 {
		b.bits(5) // channels, 32 at most
	}
	if b.err != nil {
		return errStream
	}
	return s.filterOver(int64(length))
}

package rar

import (
	"io"
)

// stream checks compressed streams symbol by symbol, without unpacking them. It rejects
// those that rardecode must not get because they need more memory or time than their
// size suggests:
//
//   - PPMd (RAR 3) needs up to 256 MiB, and any block of a stream may request it.
//   - Filters may process the same bytes thousands of times. RAR 3 filters are programs
//     for a virtual machine, and their channel counts can keep a loop busy for minutes.
//   - A member of a solid archive may be much larger than its header says, and is
//     unpacked completely before the next one.
//
// It reads a stream exactly as rardecode does, and rejects whatever is ambiguous.
type stream struct {
	lengths                     [maxLengths]byte
	main, distance, low, length code
	begun                       bool // RAR 3: the current tables are valid
	filters                     []filter
	filter                      int // index of the current filter

	bits       *bitReader
	out        int64 // bytes of output so far
	most       int64 // allowed output
	enough     int64 // output after which to stop
	lastLength int
	lowRepeats int
	lastLow    int

	filtered      int64 // total bytes to be filtered
	longestFilter int64 // longest filtered block, including earlier members
}

const maxLengths = 306 + 80 + 16 + 44

// begin starts the next member. Unless it is solid, all state is reset. most is the allowed
// output; checking stops after enough bytes.
func (s *stream) begin(from io.Reader, solid bool, most, enough int64) {
	if !solid {
		*s = stream{longestFilter: s.longestFilter}
	}
	s.bits = newBitReader(from)
	s.out, s.most, s.enough, s.filtered = 0, most, enough, 0
}

// put counts n bytes of output.
func (s *stream) put(n int) error {
	if s.out += int64(n); s.out > s.most {
		return errSize
	}
	if s.out > s.enough {
		return errEnough
	}
	return nil
}

// filterOver counts a filter over n bytes. In real archives each byte is filtered once or
// twice.
func (s *stream) filterOver(n int64) error {
	const usual, longest = 4, 1 << 22
	if n > longest {
		return errFilter
	}
	s.longestFilter = max(s.longestFilter, n)
	if s.filtered += n; s.filtered > usual*s.most {
		return errFilter
	}
	return nil
}

func (s *stream) setCodes(main, distance, low, length int) error {
	l := s.lengths[:]
	for _, c := range []struct {
		code *code
		size int
	}{{&s.main, main}, {&s.distance, distance}, {&s.low, low}, {&s.length, length}} {
		if err := c.code.set(l[:c.size]); err != nil {
			return err
		}
		l = l[c.size:]
	}
	return nil
}

// method29 checks a stream of RAR 2.9 to 4.
func (s *stream) method29() error {
	b := s.bits
	for {
		if !s.begun {
			if err := s.begin29(); err != nil {
				return err
			}
		}
		symbol := b.symbol(&s.main)
		if b.err != nil {
			return b.err
		}
		var err error
		switch {
		case symbol < 256:
			err = s.put(1)
		case symbol == 256:
			more := b.bits(1) == 1
			if more || b.bits(1) == 1 {
				s.begun = false
			}
			if !more {
				return b.err
			}
		case symbol == 257:
			err = s.filter29()
		case symbol == 258:
			err = s.put(s.lastLength)
		case symbol < 263:
			err = s.match29(b.symbol(&s.length), 2)
		case symbol < 271:
			b.bits([8]int{2, 2, 3, 4, 5, 6, 6, 6}[symbol-263])
			s.lastLength = 2
			err = s.put(2)
		default:
			err = s.far29(symbol - 271)
		}
		if err != nil {
			return err
		}
		if b.err != nil {
			return b.err
		}
	}
}

// begin29 reads a block header.
func (s *stream) begin29() error {
	const main, distance, low, length = 299, 60, 17, 28
	b := s.bits
	b.align()
	if b.bits(1) == 1 && b.err == nil {
		return errPPMd
	}
	s.lowRepeats, s.lastLow = 0, 0
	b.tables(s.lengths[:main+distance+low+length], b.bits(1) == 1)
	if b.err != nil {
		return b.err
	}
	s.begun = true
	return s.setCodes(main, distance, low, length)
}

// match29 reads the rest of a length and counts the match.
func (s *stream) match29(slot, least int) error {
	base, bits := slot, 0
	if slot >= 8 {
		bits = slot/4 - 1
		base = (4 | slot&3) << bits
	}
	s.lastLength = base + int(s.bits.bits(bits)) + least
	return s.put(s.lastLength)
}

// far29 reads a match with an explicit distance.
func (s *stream) far29(slot int) error {
	b := s.bits
	base, bits := slot, 0
	if slot >= 8 {
		bits = slot/4 - 1
		base = (4 | slot&3) << bits
	}
	length := base + int(b.bits(bits)) + 3
	d := b.symbol(&s.distance)
	distance, extra := distance29(d)
	switch {
	case extra >= 4:
		distance += int(b.bits(extra-4)) << 4
		if s.lowRepeats > 0 {
			s.lowRepeats--
		} else if low := b.symbol(&s.low); low == 16 {
			s.lowRepeats = 15
		} else {
			s.lastLow = low
		}
		distance += s.lastLow
	case extra > 0:
		b.bits(extra)
	}
	if distance+1 >= 0x2000 {
		length++
	}
	if distance+1 >= 0x40000 {
		length++
	}
	s.lastLength = length
	return s.put(length)
}

// distance29 returns the smallest distance of a slot, minus one, and the number of extra
// bits.
func distance29(slot int) (base, bits int) {
	switch {
	case slot < 4:
		return slot, 0
	case slot < 34:
		bits = slot/2 - 1
		return (2 | slot&1) << bits, bits
	case slot < 48:
		return 0x20000 + (slot-34)*0x10000, 16
	}
	return 0x100000 + (slot-48)*0x40000, 18
}

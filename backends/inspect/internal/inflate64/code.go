package inflate64

const maxCodeLength = 15

// code is a canonical Huffman code: the number of symbols per length, and the symbols in
// code order.
type code struct {
	counts  [maxCodeLength + 1]uint16
	symbols [288]uint16
}

// makeCode builds the code from the length of each symbol. It reports false if the lengths
// are oversubscribed.
func makeCode(lengths []byte) (c code, ok bool) {
	for _, n := range lengths {
		c.counts[n]++
	}
	c.counts[0] = 0
	left := 1
	for _, n := range c.counts[1:] {
		if left = left<<1 - int(n); left < 0 {
			return c, false
		}
	}
	var next [maxCodeLength + 2]uint16
	for i := 1; i <= maxCodeLength; i++ {
		next[i+1] = next[i] + c.counts[i]
	}
	for s, n := range lengths {
		if n > 0 {
			c.symbols[next[n]] = uint16(s)
			next[n]++
		}
	}
	return c, true
}

// decode reads one symbol, bit by bit.
func (r *reader) decode(c *code) (int, error) {
	value, first, index := 0, 0, 0
	for length := uint(1); length <= maxCodeLength; length++ {
		if err := r.need(length); err != nil {
			return 0, err
		}
		value |= int(r.bits >> (length - 1) & 1)
		count := int(c.counts[length])
		if value-first < count {
			r.bits, r.count = r.bits>>length, r.count-length
			return int(c.symbols[index+value-first]), nil
		}
		index += count
		first = (first + count) << 1
		value <<= 1
	}
	return 0, errCorrupt
}

// readCodes reads the codes of a dynamic block (RFC 1951, 3.2.7).
func (r *reader) readCodes() error {
	h, err := r.take(14)
	if err != nil {
		return err
	}
	literals, distances, counts := h&0x1f+257, h>>5&0x1f+1, h>>10+4
	if literals > 286 {
		return errCorrupt
	}
	var lengths [19]byte
	for _, at := range codeLengthOrder[:counts] {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		lengths[at] = byte(n)
	}
	c, ok := makeCode(lengths[:])
	if !ok {
		return errCorrupt
	}
	var all [286 + 32]byte
	if err := r.readLengths(&c, all[:literals+distances]); err != nil {
		return err
	}
	if r.literals, ok = makeCode(all[:literals]); !ok {
		return errCorrupt
	}
	if r.distances, ok = makeCode(all[literals : literals+distances]); !ok {
		return errCorrupt
	}
	return nil
}

// readLengths reads run-length encoded code lengths.
func (r *reader) readLengths(c *code, lengths []byte) error {
	for i := 0; i < len(lengths); {
		s, err := r.decode(c)
		if err != nil {
			return err
		}
		if s < 16 {
			lengths[i] = byte(s)
			i++
			continue
		}
		repeat := [...]struct {
			bits uint
			base int
		}{{2, 3}, {3, 3}, {7, 11}}[s-16]
		n, err := r.take(repeat.bits)
		if err != nil {
			return err
		}
		n += repeat.base
		value := byte(0)
		if s == 16 {
			if i == 0 {
				return errCorrupt
			}
			value = lengths[i-1]
		}
		if n > len(lengths)-i {
			return errCorrupt
		}
		for ; n > 0; n-- {
			lengths[i] = value
			i++
		}
	}
	return nil
}

var codeLengthOrder = [19]byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// extended is a base value and the number of extra bits that are added to it.
type extended struct {
	base int
	bits uint
}

// lengths and distances are as in Deflate, except for the last ones.
var (
	lengths = func() (t [29]extended) {
		base := 3
		for i := range t {
			bits := uint(max(0, i/4-1))
			t[i] = extended{base, bits}
			base += 1 << bits
		}
		t[28] = extended{3, 16}
		return t
	}()
	distances = func() (t [32]extended) {
		base := 1
		for i := range t {
			bits := uint(max(0, i/2-1))
			t[i] = extended{base, bits}
			base += 1 << bits
		}
		return t
	}()
	fixedLiterals, _ = makeCode(func() []byte {
		b := make([]byte, 288)
		for i := range b {
			switch {
			case i < 144:
				b[i] = 8
			case i < 256:
				b[i] = 9
			case i < 280:
				b[i] = 7
			default:
				b[i] = 8
			}
		}
		return b
	}())
	fixedDistances, _ = makeCode(func() []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = 5
		}
		return b
	}())
)

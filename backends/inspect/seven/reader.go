package seven

// reader reads a header. Once bad is set it returns zeros.
type reader struct {
	b    []byte
	bad  bool
	many bool // bad only because of too many folders
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) bytes(n uint64) []byte {
	if r.bad || n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// number reads a variable-length integer: the leading one bits of its first byte count the
// bytes that follow.
func (r *reader) number() uint64 {
	first := r.byte()
	n := uint64(0)
	for i := range 8 {
		mask := byte(0x80 >> i)
		if first&mask == 0 {
			return n | uint64(first&(mask-1))<<(8*i)
		}
		n |= uint64(r.byte()) << (8 * i)
	}
	return n
}

// count reads the number of items that take at least one byte each.
func (r *reader) count() uint64 {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return n
}

// want reads a byte that must equal id.
func (r *reader) want(id byte) {
	if r.byte() != id {
		r.bad, r.b = true, nil
	}
}

// bits reads n bits, most significant first, and calls set for each one bit. set may be
// nil.
func (r *reader) bits(n uint64, set func(i uint64)) {
	b := r.bytes((n + 7) / 8)
	for i := uint64(0); i < n && !r.bad && set != nil; i++ {
		if b[i/8]&(0x80>>(i%8)) != 0 {
			set(i)
		}
	}
}

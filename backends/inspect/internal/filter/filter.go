// Package filter undoes the filters that archivers apply before compressing, such as BCJ
// and Delta: they make the addresses in programs, or the values in tables, repeat.
//
// Each filter works on blocks of a fixed size and stops at the end of its input. The 7z
// library has most of them but does not export them, and its Delta filter loops forever at
// a distance of 256.
package filter

import "io"

// A converter changes b in place and returns how many bytes are final. It gets the rest
// again, with more bytes appended. It must make progress when b has lookAhead bytes.
type converter interface {
	convert(b []byte) int
}

const (
	blockSize = 16 << 10
	lookAhead = 8 // more than any converter needs
	maxTries  = 100
)

// reader applies a converter to from.
type reader struct {
	from  io.Reader
	by    converter
	block []byte
	start int // first unread byte
	done  int // end of the converted bytes
	end   int
	err   error
}

func newReader(from io.Reader, by converter) io.Reader {
	return &reader{from: from, by: by, block: make([]byte, blockSize)}
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.start == r.done {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.block[r.start:r.done])
	r.start += n
	return n, nil
}

// fill reads and converts the next block.
func (r *reader) fill() {
	r.end = copy(r.block, r.block[r.done:r.end])
	r.start, r.done = 0, 0
	// Not io.ReadFull: it returns the same error for the end of r.from and for a
	// premature end that r.from reports.
	for tries := 0; r.end < len(r.block) && r.err == nil; tries++ {
		var n int
		n, r.err = r.from.Read(r.block[r.end:])
		r.end += n
		if n > 0 {
			tries = 0
		}
		if tries > maxTries {
			r.err = io.ErrNoProgress
		}
	}
	r.done = r.by.convert(r.block[:r.end])
	if r.err != nil {
		r.done = r.end // too few bytes are left to convert
	}
}

// Delta returns the filter that adds to each byte the byte at a distance of 1 to 256 before
// it.
func Delta(from io.Reader, distance int) io.Reader {
	return newReader(from, &delta{distance: distance})
}

type delta struct {
	distance int
	state    [256]byte
	at       int
}

func (d *delta) convert(b []byte) int {
	for i := range b {
		b[i] += d.state[d.at]
		d.state[d.at] = b[i]
		if d.at++; d.at == d.distance {
			d.at = 0
		}
	}
	return len(b)
}

package inspect

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
)

// scratch is the memory that one walk leaves to the next.
type scratch struct {
	head    [headSize]byte
	local   [zipLocalSize + maxZipName]byte
	tail    []byte // up to maxZipEnd bytes
	inflate io.ReadCloser
	input   *bufio.Reader
}

// reader returns the unpacked bytes of what r has deflated. Only one can be in
// use at a time.
func (s *scratch) reader(r io.Reader) io.Reader {
	if s.inflate == nil {
		s.input = bufio.NewReaderSize(r, headSize)
		s.inflate = flate.NewReader(s.input)
		return s.inflate
	}
	s.input.Reset(r)
	// All readers of package flate are Resetters, and none fails.
	if f, ok := s.inflate.(flate.Resetter); ok {
		f.Reset(s.input, nil)
	}
	return s.inflate
}

// end returns the last n bytes of a section, at most all of it.
func (s *scratch) end(r *section, n int64) ([]byte, error) {
	b := s.buffer(min(n, r.size))
	return b, readFull(r, b, r.size-int64(len(b)))
}

// buffer returns n bytes, which are the caller's until the next call of buffer or
// end. n is one of our own numbers, never one of the content's.
func (s *scratch) buffer(n int64) []byte {
	if int64(len(s.tail)) < n {
		s.tail = make([]byte, n)
	}
	return s.tail[:n]
}

// release lets go of the content.
func (s *scratch) release() {
	if s.input != nil {
		s.input.Reset(bytes.NewReader(nil))
	}
}

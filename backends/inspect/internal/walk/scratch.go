package walk

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
)

// localSize is the room for small headers.
const localSize = 160

// Scratch is the memory that one walk leaves to the next.
type Scratch struct {
	head    [HeadSize]byte
	deep    *[MaxDeep]byte // nil until it is needed
	local   [localSize]byte
	tail    []byte
	inflate io.ReadCloser
	input   *bufio.Reader
}

// reader returns the unpacked bytes of what r has deflated. Only one can be in
// use at a time.
func (s *Scratch) reader(r io.Reader) io.Reader {
	if s.inflate == nil {
		s.input = bufio.NewReaderSize(r, HeadSize)
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

// buffer returns n bytes, which are the caller's until the next call. n is never a number from the object.
func (s *Scratch) buffer(n int64) []byte {
	if int64(len(s.tail)) < n {
		s.tail = make([]byte, n)
	}
	return s.tail[:n]
}

// release lets go of the object.
func (s *Scratch) release() {
	if s.input != nil {
		s.input.Reset(bytes.NewReader(nil))
	}
}

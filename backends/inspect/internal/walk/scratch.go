package walk

import (
	"bufio"
	"bytes"
	"compress/flate"
	"io"
)

// localSize is the size of the buffer for small headers.
const localSize = 160

// Scratch is memory that one walk leaves to the next.
type Scratch struct {
	head    [HeadSize]byte
	deep    *[MaxDeep]byte // nil until it is needed
	local   [localSize]byte
	tail    []byte
	inflate io.ReadCloser
	input   *bufio.Reader
}

// reader inflates r. Only one such reader may be in use.
func (s *Scratch) reader(r io.Reader) io.Reader {
	if s.inflate == nil {
		s.input = bufio.NewReaderSize(r, HeadSize)
		s.inflate = flate.NewReader(s.input)
		return s.inflate
	}
	s.input.Reset(r)
	// Every flate reader is a Resetter, and Reset never fails.
	if f, ok := s.inflate.(flate.Resetter); ok {
		f.Reset(s.input, nil)
	}
	return s.inflate
}

// buffer returns n bytes, valid until the next call. n never comes from the object.
func (s *Scratch) buffer(n int64) []byte {
	if int64(len(s.tail)) < n {
		s.tail = make([]byte, n)
	}
	return s.tail[:n]
}

// release drops all references to the object.
func (s *Scratch) release() {
	if s.input != nil {
		s.input.Reset(bytes.NewReader(nil))
	}
}

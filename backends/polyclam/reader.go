package polyclam

import (
	"fmt"
	"io"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// reader reads a content from start to end, exactly its size: less is an error and
// never the end of a stream that the other side would then call OK.
type reader struct {
	c    backends.Content
	off  int64
	size int64
}

func (r *reader) Read(p []byte) (int, error) {
	left := r.size - r.off
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	n, err := r.c.ReadAt(p, r.off)
	r.off += int64(n)
	switch {
	case n == len(p) && r.off == r.size:
		return n, io.EOF
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		err = fmt.Errorf("it ends after %d of %d bytes", r.off, r.size)
	}
	return n, wire.Ours("content", err)
}

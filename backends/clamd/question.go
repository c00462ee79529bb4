package clamd

import (
	"context"
	"fmt"
	"io"
	"os"

	"polyclam/backends"
	"polyclam/backends/internal/file"
	"polyclam/protocol"
)

// question is one scan as it is asked, in one of three ways.
type question struct {
	path    string
	file    *os.File
	content backends.Content // none of the two: by stream
}

// prepare chooses the way.
func (b *Backend) prepare(c backends.Content) (question, error) {
	if b.transport == transportPath {
		path, err := file.Path(c)
		return question{path: path, content: c}, err
	}
	if b.transport == transportStream || b.streams.Load() {
		return question{content: c}, nil
	}
	f, err := c.File()
	if err != nil && b.auto {
		return question{content: c}, nil
	}
	if err != nil {
		return question{}, &backends.ObjectError{Doing: "descriptor of the object", Err: err}
	}
	return question{file: f, content: c}, nil
}

// inSession asks on a session.
func (q question) inSession(ctx context.Context, s *protocol.ClientSession) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return s.Scan(ctx, q.path)
	case q.file != nil:
		return s.Fildes(ctx, q.file)
	}
	return s.Instream(ctx, &reader{c: q.content, size: q.content.Size()})
}

// once asks on a connection of its own.
func (q question) once(ctx context.Context, c *protocol.Client) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return c.Scan(ctx, q.path)
	case q.file != nil:
		return c.Fildes(ctx, q.file)
	}
	return c.Instream(ctx, &reader{c: q.content, size: q.content.Size()})
}

// reader reads a content from start to end, exactly its size: less is an error and
// never the end of a stream that clamd would then call OK.
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
	if int64(len(p)) > left {
		p = p[:left]
	}
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
	return n, &backends.ObjectError{Doing: "reading the object", Err: err}
}

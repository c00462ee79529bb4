package clamd

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"polyclam/backends"
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
		path, err := scanPath(c)
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
		return question{}, ours("no descriptor of the content", err)
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

// scanPath returns the name under which clamd is to find the content: the real one
// of a regular file. clamd 1.4.6 answers OK, without scanning, for a symbolic link
// and for what is on /proc; clamd up to 1.4.4 answers with the real path.
func scanPath(c backends.Content) (string, error) {
	path, err := c.Path()
	if err != nil {
		return "", ours("no path of the content", err)
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", ours("path of the content", err)
	}
	fi, err := os.Lstat(path)
	switch {
	case err != nil:
		return "", ours("path of the content", err)
	case fi.Mode().Type() != 0 || !filepath.IsAbs(path):
		return "", ours("path of the content", fmt.Errorf("%q is not a regular file: %s", path, fi.Mode().Type()))
	case strings.HasPrefix(path, "/proc/"):
		return "", ours("path of the content", fmt.Errorf("%q: clamd does not scan what is on /proc", path))
	case fi.Size() != c.Size():
		return "", ours("path of the content", fmt.Errorf("%q has %d bytes, the content has %d", path, fi.Size(), c.Size()))
	}
	return path, nil
}

// ours is an error of our own side. It hides the cause from [backends.CategoryOf]:
// that a file of ours does not exist does not mean that clamd does not.
func ours(what string, err error) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: what + ": " + err.Error()}
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
	return n, ours("content", err)
}

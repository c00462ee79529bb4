package clamd

import (
	"context"
	"os"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/file"
	"polyclam/protocol"
)

// question is one scan as it is asked, in one of three ways.
type question struct {
	path   string
	file   *os.File
	object backends.Object // without path and file: by stream
}

// prepare chooses the way.
func (b *Backend) prepare(o backends.Object) (question, error) {
	if b.transport == transportPath {
		path, err := file.Path(o)
		if err != nil {
			return question{}, &backends.ObjectError{Doing: "naming the object", Err: err}
		}
		return question{path: path, object: o}, nil
	}
	if b.transport == transportStream || b.streams.Load() {
		return question{object: o}, nil
	}
	f, err := o.File()
	if err != nil && b.auto {
		return question{object: o}, nil
	}
	if err != nil {
		return question{}, &backends.ObjectError{Doing: "no descriptor of the object", Err: err}
	}
	return question{file: f, object: o}, nil
}

// inSession asks on a session.
func (q question) inSession(ctx context.Context, s *protocol.ClientSession) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return s.Scan(ctx, q.path)
	case q.file != nil:
		return s.Fildes(ctx, q.file)
	}
	return s.Instream(ctx, clamdclient.Reader(q.object, q.object.Size()))
}

// once asks on a connection of its own.
func (q question) once(ctx context.Context, c *protocol.Client) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return c.Scan(ctx, q.path)
	case q.file != nil:
		return c.Fildes(ctx, q.file)
	}
	return c.Instream(ctx, clamdclient.Reader(q.object, q.object.Size()))
}

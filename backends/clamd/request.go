package clamd

import (
	"context"
	"os"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/file"
	"polyclam/protocol"
)

// request is a request to scan an object by its path, by a descriptor, or by a stream if
// there is neither.
type request struct {
	path   string
	file   *os.File
	sealed bool // see [backends.Sealed]
	object backends.Object
}

// newRequest chooses the transport.
func (b *Backend) newRequest(o backends.Object) (request, error) {
	if b.transport == transportPath {
		path, err := file.Path(o)
		if err != nil {
			return request{}, err
		}
		return request{path: path, object: o}, nil
	}
	if b.transport == transportStream || b.streams.Load() {
		return request{object: o}, nil
	}
	f, err := o.File()
	if err != nil && b.auto {
		return request{object: o}, nil
	}
	if err != nil {
		return request{}, &backends.ObjectError{Doing: "opening the object's file", Err: err}
	}
	return request{file: f, sealed: backends.IsSealed(o), object: o}, nil
}

// inSession sends the request on a session.
func (q request) inSession(ctx context.Context, s *protocol.ClientSession) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return s.Scan(ctx, q.path)
	case q.file != nil && q.sealed:
		return s.FildesReadable(ctx, q.file)
	case q.file != nil:
		return s.Fildes(ctx, q.file)
	}
	return s.Instream(ctx, clamdclient.Reader(q.object, q.object.Size()))
}

// once sends the request on a new connection.
func (q request) once(ctx context.Context, c *protocol.Client) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return c.Scan(ctx, q.path)
	case q.file != nil:
		return c.Fildes(ctx, q.file)
	}
	return c.Instream(ctx, clamdclient.Reader(q.object, q.object.Size()))
}

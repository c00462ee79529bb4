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
	fd     int  // instead of file, if sealed
	sealed bool // fd is that of a [backends.Sealed] object
	object backends.Object
}

// descriptor reports whether the request passes a descriptor.
func (q *request) descriptor() bool { return q.file != nil || q.sealed }

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
	q := request{object: o}
	err := q.open(o, b.pool.Disabled)
	switch {
	case err != nil && b.auto:
		return request{object: o}, nil
	case err != nil:
		return request{}, &backends.ObjectError{Doing: "opening the object's file", Err: err}
	}
	return q, nil
}

// open takes the descriptor of o, which is open for as long as o is. For once it needs a file.
func (q *request) open(o backends.Object, once bool) (err error) {
	sealed := backends.IsSealed(o) && !once
	if d, ok := o.(backends.Described); ok && sealed {
		if q.fd, q.sealed, err = d.Descriptor(); q.sealed || err != nil {
			return err
		}
	}
	if q.file, err = o.File(); err == nil && sealed {
		q.fd, q.sealed = int(q.file.Fd()), true
	}
	return err
}

// inSession sends the request on a session.
func (q request) inSession(ctx context.Context, s *protocol.ClientSession) (protocol.Reply, error) {
	switch {
	case q.path != "":
		return s.Scan(ctx, q.path)
	case q.sealed:
		return s.FildesReadable(ctx, q.fd)
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

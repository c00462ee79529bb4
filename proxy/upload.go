package proxy

import (
	"errors"
	"slices"

	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/spool"
)

// An upload is the stream of an INSTREAM that is being received. It is a value of the session,
// not the work of a function, so that it can go on in another goroutine.
type upload struct {
	r        *request // which it ends
	w        *spool.Writer
	stream   *protocol.Stream
	received int64
	stray    error // came with the command of an IDSESSION
}

// beginUpload begins to receive the stream of an INSTREAM, if the client may send one.
func (r *request) beginUpload() {
	if !r.mayStream() {
		return
	}
	w := r.s.srv.spool.Create(r.s.ctx)
	if slices.ContainsFunc(r.engines, (*engine.Engine).NeedsSum) {
		w.ExpectSum()
	}
	stream := r.s.conn.Stream(r.cfg.Limits.Stream, r.cfg.Limits.ReadTimeout)
	stream.SetRest(restAfter)
	r.setPace(stream)
	r.s.upload = &upload{r: r, w: w, stream: stream}
}

// receive continues the upload of the session. When it is complete, receive has the object
// scanned. more reports whether there is more to do.
func (s *session) receive() (more, rests bool) {
	u := s.upload
	object, rests := u.receive()
	if rests {
		return true, true
	}
	s.upload = nil
	defer u.r.end()
	switch {
	case s.ids != nil:
		more = s.ids.received(u.r, object, u.stray)
	case object != nil:
		u.r.scanStream(object)
	}
	return more, false
}

// receive reads the stream into the spool, until its end or until it rests. It returns no
// object if there is nothing to scan: the client has been answered, or has gone.
func (u *upload) receive() (object *spool.Object, rests bool) {
	n, err := u.stream.WriteTo(u)
	u.received += n
	if errors.Is(err, protocol.ErrStreamRests) {
		return nil, true
	}
	defer u.w.Abort()
	return u.r.kept(u.stream, u.w, u.received, err), false
}

// Write implements [io.Writer]. It writes to the spool, and watches the client while it waits
// for quota.
func (u *upload) Write(p []byte) (int, error) {
	u.r.s.watch.begin()
	defer u.r.s.watch.end()
	return u.w.Write(p)
}

// abort ends an upload that has panicked.
func (u *upload) abort() {
	u.w.Abort()
	u.r.end()
}

package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// ClientSession is an IDSESSION: many requests on one connection, which the server numbers
// and may answer in any order. Its methods are safe for concurrent use, and each returns
// the reply to its own request. There is no background goroutine: one of the waiting
// methods reads the replies for all.
//
// A session never recovers. After any failure (a request's context ends, a reply is
// malformed or unexpected, the connection ends) all pending requests fail, the connection
// is closed, and every later request returns the first error: clamd mixes up replies in a
// session that continues after a failure. An ERROR reply ends the session only if the
// server closes after it.
//
// clamd closes a session that is idle for ReadTimeout, 120 s.
type ClientSession struct {
	link *link

	writing chan struct{} // held by the goroutine that sends a request
	reading chan struct{} // held by the goroutine that reads replies
	begun   bool          // IDSESSION has been sent; under writing

	mu      sync.Mutex
	sending *call // partly sent
	lastID  int
	pending []*call
	err     error // why no further request is possible
	closed  bool  // the connection is
}

func newClientSession(l *link) *ClientSession {
	return &ClientSession{link: l, writing: make(chan struct{}, 1), reading: make(chan struct{}, 1)}
}

// Ping is [Client.Ping]; it also keeps the session alive.
func (s *ClientSession) Ping(ctx context.Context) error {
	a, err := s.exchange(ctx, &request{verb: VerbPing})
	if err != nil {
		return err
	}
	return isExactly(a.line, "PONG")
}

// Version is [Client.Version].
func (s *ClientSession) Version(ctx context.Context) (string, error) {
	a, err := s.exchange(ctx, &request{verb: VerbVersion})
	if err != nil {
		return "", err
	}
	return a.line, isInformation(a.line)
}

// Instream is [Client.Instream].
func (s *ClientSession) Instream(ctx context.Context, r io.Reader) (Reply, error) {
	return s.one(ctx, &request{verb: VerbInstream, stream: r, object: ObjectStream})
}

// Fildes is [Client.Fildes]. It waits until all pending streams are answered: clamd 1.4.6
// can lose a descriptor that arrives together with the end of a stream.
func (s *ClientSession) Fildes(ctx context.Context, f *os.File) (Reply, error) {
	return s.one(ctx, &request{verb: VerbFildes, file: f, object: objectDescriptor})
}

// Scan is [Client.Scan] of a file. The reply for a directory may have two lines, which
// ends the session. Sessions do not support CONTSCAN, MULTISCAN and ALLMATCHSCAN.
func (s *ClientSession) Scan(ctx context.Context, path string) (Reply, error) {
	if err := checkPath(VerbScan, path); err != nil {
		return Reply{}, err
	}
	return s.one(ctx, &request{verb: VerbScan, path: path, object: path})
}

// FildesReadable is [ClientSession.Fildes] for a descriptor that the caller knows to be that
// of a regular file and open for reading, which Fildes finds out with two system calls. clamd
// 1.4.6 answers OK for a descriptor that it cannot read. The caller closes the descriptor, but
// not before FildesReadable has returned.
func (s *ClientSession) FildesReadable(ctx context.Context, fd int) (Reply, error) {
	return s.one(ctx, &request{verb: VerbFildes, fd: fd, object: objectDescriptor, readable: true})
}

// one makes a request whose reply is one status line.
func (s *ClientSession) one(ctx context.Context, q *request) (Reply, error) {
	a, err := s.exchange(ctx, q)
	if err != nil {
		return Reply{}, err
	}
	r, err := q.verdict(a.line, a.sent)
	r.ID = a.id
	var answer *ReplyError
	if err != nil && !errors.As(err, &answer) {
		s.fail(err)
	}
	return r, err
}

// Usable reports whether another request may be sent: none has failed, and the server has
// neither closed nor sent anything unexpected. Call it only while no request is pending.
// It costs one system call.
func (s *ClientSession) Usable() bool {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && len(s.pending) == 0 && s.link.idle()
}

// Open reports whether another request may be sent as far as is known: none has failed, and
// none is pending. Unlike [ClientSession.Usable] it costs no system call: the next request
// checks for unexpected input before it sends anything. Over TLS it is the same as Usable.
func (s *ClientSession) Open() bool {
	if s.link.raw == nil {
		return s.Usable()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && len(s.pending) == 0 && !s.link.more()
}

// Close ends the session with END. Pending requests fail. It does not wait, and may be
// called several times.
func (s *ClientSession) Close() error {
	s.fail(errSessionClosed)
	return nil
}

// answer is the reply to one request.
type answer struct {
	line string
	id   int
	sent error // why the request was not sent completely: the reply is early
}

// exchange sends q and waits for its reply.
func (s *ClientSession) exchange(ctx context.Context, q *request) (answer, error) {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return answer{}, context.Cause(ctx) // nothing was sent
	}
	if ctx.Err() != nil {
		<-s.writing
		return answer{}, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, s.link.expire)
	trace := traceOf(ctx)
	c, watched, err := s.send(q, trace)
	if c == nil {
		<-s.writing
		stop()
		return answer{}, ended(ctx, doingSend, err)
	}
	var broken *sendError
	if err != nil && !errors.As(err, &broken) {
		s.fail(err)
	}
	if watched != nil {
		<-watched
	} else {
		s.await(c)
	}
	switch {
	case !stop():
		s.fail(context.Cause(ctx)) // the connection's deadline has passed
	case err != nil:
		s.fail(err) // a reply that came was the last one
	}
	if trace != nil && c.err == nil {
		trace.received(fmt.Sprintf("%d: %s", c.id, c.line))
	}
	switch {
	case c.err == nil:
		return answer{line: c.line, id: c.id, sent: err}, nil
	case err != nil && broken == nil && !errors.Is(err, net.ErrClosed):
		return answer{}, ended(ctx, doingSend, err)
	case err != nil && errors.Is(c.err, ErrNoReply):
		return answer{}, fmt.Errorf("%w: %w", ErrNoReply, err)
	}
	return answer{}, ended(ctx, doing(err), c.err)
}

// send writes q and returns its call, which is nil if the session has ended, and the
// channel of the watch that already waits for the reply, which may be nil. It may also have
// received the reply, but not read it. The caller holds writing, which send gives up when
// the request is sent. If there is no call, the caller still holds it.
func (s *ClientSession) send(q *request, trace *ClientTrace) (*call, chan struct{}, error) {
	if q.file != nil || q.readable {
		s.awaitStreams()
	}
	c := &call{stream: q.stream != nil, done: make(chan struct{})}
	s.mu.Lock()
	if s.err != nil {
		err := s.err
		s.mu.Unlock()
		return nil, nil, err
	}
	s.lastID++
	c.id = s.lastID
	s.pending = append(s.pending, c)
	s.sending = c
	s.mu.Unlock()

	prefix := ""
	if !s.begun {
		prefix = "z" + string(VerbIDSession) + "\x00"
	}
	s.begun = true
	w := &sender{link: s.link, session: s, call: c, trace: trace, prefix: prefix, q: q}
	err := w.request(prefix, q)
	w.finish(err)
	return c, w.watched, err
}

// sent is called after the attempt to send c.
func (s *ClientSession) sent(c *call, w *sender, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || !w.begun {
		s.sending = nil
	}
	switch {
	case err != nil && s.err == nil:
		s.err = err // no further request; pending ones may still be answered
	case err == nil && c.cut:
		s.link.nc.SetWriteDeadline(time.Time{}) // the watch came too late
	}
}

// fail ends the session: pending requests get err, the server gets END, and the
// connection is closed. In the middle of a request END cannot be sent.
func (s *ClientSession) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked(err)
}

// failLocked is fail for a caller that holds mu.
func (s *ClientSession) failLocked(err error) {
	if s.err == nil {
		s.err = err
	}
	if !s.closed {
		s.closed = true
		s.hangUp()
	}
	for _, c := range s.pending {
		c.err = err
		close(c.done)
	}
	s.pending = nil
}

// hangUp sends END and closes. Without END clamd 1.4.6 may answer OK for a scan that is
// still running. The caller holds mu.
func (s *ClientSession) hangUp() {
	if s.sending == nil && s.lastID > 0 {
		s.link.nc.SetWriteDeadline(time.Now().Add(endTimeout))
		s.link.nc.Write([]byte("z" + string(VerbEnd) + "\x00"))
	}
	s.link.nc.Close()
}

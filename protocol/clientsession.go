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

// ClientSession is an IDSESSION: many requests on one connection, which the server
// numbers and may answer in any order. Its methods are safe for concurrent use;
// each returns the reply to its own request. It has no goroutine of its own: of the
// methods that wait, one reads for all.
//
// A session never recovers. As soon as anything is out of order (the end of a
// request's context, a reply that is not in the grammar or not to be expected, the
// end of the connection) all requests under way fail, the connection is closed, and
// every further request returns the first error. clamd mixes up replies, and worse,
// in sessions that go on after a mishap. The reply that says ERROR ends the session
// only if the server closes after it.
//
// clamd closes a session in which nothing happens for ReadTimeout, 120 s.
type ClientSession struct {
	link *link

	writing chan struct{} // held by the one that sends a request
	reading chan struct{} // held by the one that reads replies
	begun   bool          // IDSESSION has been sent; under writing

	mu      sync.Mutex
	sending *call // in the middle of its request
	lastID  int
	pending []*call
	err     error // why there are no further requests
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

// Fildes is [Client.Fildes]. It waits until the streams under way are answered:
// clamd 1.4.6 can lose a descriptor that arrives together with the end of a stream.
func (s *ClientSession) Fildes(ctx context.Context, f *os.File) (Reply, error) {
	return s.one(ctx, &request{verb: VerbFildes, file: f, object: ObjectDescriptor})
}

// Scan is [Client.Scan] of a file. A directory may be answered by two lines, which
// ends the session. CONTSCAN and its like are not possible in a session.
func (s *ClientSession) Scan(ctx context.Context, path string) (Reply, error) {
	if err := checkPath(VerbScan, path); err != nil {
		return Reply{}, err
	}
	return s.one(ctx, &request{verb: VerbScan, path: path, object: path})
}

// one is a request with a status line for an answer.
func (s *ClientSession) one(ctx context.Context, q *request) (Reply, error) {
	a, err := s.exchange(ctx, q)
	if err != nil {
		return Reply{}, err
	}
	r, err := verdict(a.line, q, a.sent)
	r.ID = a.id
	var answer *ReplyError
	if err != nil && !errors.As(err, &answer) {
		s.fail(err)
	}
	return r, err
}

// Usable reports whether nothing speaks against another request: none has failed,
// and the server has neither closed nor sent anything that was not asked for. It
// is for sessions that have no request under way, and costs one system call.
func (s *ClientSession) Usable() bool {
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	default:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil && len(s.pending) == 0 && s.link.silent()
}

// Close ends the session with END. Requests under way fail with ErrSessionClosed.
// It does not wait, and may be called any number of times.
func (s *ClientSession) Close() error {
	s.fail(ErrSessionClosed)
	return nil
}

// answer is the reply to one request.
type answer struct {
	line string
	id   int
	sent error // what kept the request from being sent completely: the reply is early
}

// exchange sends q and waits for its reply.
func (s *ClientSession) exchange(ctx context.Context, q *request) (answer, error) {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return answer{}, context.Cause(ctx) // nothing has happened
	}
	if ctx.Err() != nil {
		<-s.writing
		return answer{}, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, s.link.expire)
	c, watched, err := s.send(q)
	<-s.writing
	if c == nil {
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
		s.fail(context.Cause(ctx)) // the connection's deadline is over
	case err != nil:
		s.fail(err) // the reply, if there was one, was the last
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

// send writes q and returns the call to wait for, none if the session has ended, and
// the watch that waits for it already, if there is one. The caller holds writing.
func (s *ClientSession) send(q *request) (*call, chan struct{}, error) {
	if q.file != nil {
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
	w := &sender{link: s.link, session: s, call: c}
	err := w.request(prefix, q)
	s.sent(c, w, err)
	return c, w.watched, err
}

// sent notes the end of the sending of c.
func (s *ClientSession) sent(c *call, w *sender, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil || !w.begun {
		s.sending = nil
	}
	switch {
	case err != nil && s.err == nil:
		s.err = err // no further request; those under way may still be answered
	case err == nil && c.cut:
		s.link.nc.SetWriteDeadline(time.Time{}) // too late to end anything
	}
}

// fail ends the session: whoever waits gets err, the server END (unless it is in
// the middle of a request: clamd 1.4.6 answers OK for a scan under way when a
// session is half-closed without END), and the connection is closed.
func (s *ClientSession) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed(err)
}

// failed is fail for a caller that holds mu.
func (s *ClientSession) failed(err error) {
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

// hangUp says END and closes. The caller holds mu.
func (s *ClientSession) hangUp() {
	if s.sending == nil && s.lastID > 0 {
		s.link.nc.SetWriteDeadline(time.Now().Add(farewell))
		s.link.nc.Write([]byte("z" + string(VerbEnd) + "\x00"))
	}
	s.link.nc.Close()
}

package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	sending bool // in the middle of a request
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
	line, _, err := s.exchange(ctx, &request{verb: VerbPing}, nil)
	if err != nil {
		return err
	}
	return isExactly(line, "PONG")
}

// Version is [Client.Version].
func (s *ClientSession) Version(ctx context.Context) (string, error) {
	line, _, err := s.exchange(ctx, &request{verb: VerbVersion}, nil)
	if err != nil {
		return "", err
	}
	return line, isInformation(line)
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
	var sent error
	line, id, err := s.exchange(ctx, q, &sent)
	if err != nil {
		return Reply{}, err
	}
	r, err := verdict(line, q, sent)
	r.ID = id
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
	return s.err == nil && len(s.pending) == 0 && s.link.quiet()
}

// Close ends the session with END. Requests under way fail with ErrSessionClosed.
// It does not wait, and may be called any number of times.
func (s *ClientSession) Close() error {
	s.fail(ErrSessionClosed)
	return nil
}

// exchange sends q and waits for its reply. In *sent it leaves the error if the
// server did not take all of it.
func (s *ClientSession) exchange(ctx context.Context, q *request, sent *error) (string, int, error) {
	select {
	case s.writing <- struct{}{}:
	case <-ctx.Done():
		return "", 0, context.Cause(ctx) // nothing has happened
	}
	if ctx.Err() != nil {
		<-s.writing
		return "", 0, context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, s.link.expire)
	c, err := s.send(q)
	<-s.writing
	if c == nil {
		stop()
		return "", 0, ended(ctx, err)
	}
	var broken *sendError
	if err != nil && !errors.As(err, &broken) {
		s.fail(err)
	}
	if sent != nil {
		*sent = err
	}
	s.await(c)
	switch {
	case !stop():
		s.fail(context.Cause(ctx)) // the connection's deadline is over
	case err != nil:
		s.fail(err) // the reply, if there was one, was the last
	}
	switch {
	case c.err == nil:
		return c.line, c.id, nil
	case err != nil && broken == nil:
		return "", 0, ended(ctx, err)
	case err != nil && errors.Is(c.err, ErrNoReply):
		return "", 0, fmt.Errorf("%w: %w", ErrNoReply, err)
	}
	return "", 0, ended(ctx, c.err)
}

// send writes q and returns the call to wait for, none if the session has ended.
// The caller holds writing.
func (s *ClientSession) send(q *request) (*call, error) {
	if q.file != nil {
		s.awaitStreams()
	}
	c := &call{stream: q.stream != nil, done: make(chan struct{}, 1)}
	s.mu.Lock()
	if s.err != nil {
		err := s.err
		s.mu.Unlock()
		return nil, err
	}
	s.lastID++
	c.id = s.lastID
	s.pending = append(s.pending, c)
	s.sending = true
	s.mu.Unlock()

	prefix := ""
	if !s.begun {
		prefix = "z" + string(VerbIDSession) + "\x00"
	}
	s.begun = true
	err := s.link.request(prefix, q)

	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.sending = false
	} else if s.err == nil {
		s.err = err // no further request; those under way may still be answered
	}
	return c, err
}

// fail ends the session: whoever waits gets err, the server END (unless it is in
// the middle of a request: clamd 1.4.6 answers OK for a scan under way when a
// session is half-closed without END), and the connection is closed.
func (s *ClientSession) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
	if !s.closed {
		s.closed = true
		s.hangUp()
	}
	for _, c := range s.pending {
		c.err = err
		c.done <- struct{}{}
	}
	s.pending = nil
}

// hangUp says END and closes. The caller holds mu.
func (s *ClientSession) hangUp() {
	if !s.sending && s.lastID > 0 {
		s.link.nc.SetWriteDeadline(time.Now().Add(farewell))
		s.link.send([]byte("z" + string(VerbEnd) + "\x00"))
	}
	s.link.nc.Close()
}

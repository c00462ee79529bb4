// Package clamd scans with ClamAV's daemon, clamd, or with any server that speaks its
// protocol.
//
// The dialogue, on a connection that is kept for the next scan. Each connection serves
// one scan at a time, or clamd would mix up the replies:
//
//	-> zIDSESSION<NUL> zFILDES<NUL> <byte with descriptor>     transport "fildes"
//	-> zIDSESSION<NUL> zINSTREAM<NUL> <length><data>... <0>    transport "stream"
//	-> zIDSESSION<NUL> zSCAN /path<NUL>                        transport "path"
//	<- 1: <object>: OK<NUL>
//	-> zEND<NUL>                                               after 25 s without a scan
//
// The answer table, for 0.103 to 1.5; answers.go has the details:
//
//	<object>: OK                                  ok, code 0
//	<object>: NAME FOUND                          by name, virus if unknown; code 1
//	<object>: (null) FOUND                        partial: a limit (0.104 to 1.0)
//	INSTREAM size limit exceeded. ERROR           partial
//	<object>: Bad format or broken data ERROR     partial, like exceeded limits
//	<object>: Exceeded time limit ERROR           interrupted
//	COMMAND READ TIMED OUT                        interrupted
//	<object>: Access denied. ERROR                swerr with a hint: clamd cannot read the file
//	<object>: Excluded, any other text            swerr
//	(closed without a reply)                      cannot-execute
//
// A reply must name exactly the requested object: "stream", "fd[N]" or the path.
//
// clamd can answer OK without scanning the object in these cases:
//
//   - A session was half-closed or disturbed during a scan; then replies may even reach
//     the wrong client. So a connection has one request in flight, carries only valid
//     commands, and is closed after any unexpected reply, if possible with END.
//   - The descriptor is write-only. It is checked before it is sent.
//   - The path is a symbolic link or on /proc. Links are resolved, and only regular files
//     are sent.
//   - A line with OK follows one with ERROR. Two replies are an error.
//   - clamd has not received the whole stream. In a reply that begins before the last
//     bytes are sent, only virus, suspicious and the size limit count.
//   - The reply belongs to an earlier object. A session with unexpected input is closed.
//   - The object has more than 2147483645 bytes, whatever clamd's limits are: partial.
//   - TemporaryDirectory is full or unwritable (FILDES and SCAN, 1.4.6), or the object is
//     larger than MaxFileSize or MaxScanSize without AlertExceedsMax. No client can
//     detect this, so the health check scans test files regularly, and sites should set
//     AlertExceedsMax.
package clamd

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/idle"
	"polyclam/backends/internal/tracing"
	"polyclam/protocol"
)

// A Backend scans with one clamd. It keeps as many connections as there were concurrent
// scans, until they have been idle for a while. It is safe for concurrent use.
type Backend struct {
	node      *clamdclient.Node
	transport string
	auto      bool // may switch to stream
	pool      idle.Pool[*protocol.ClientSession]

	// streams is set when clamd does not receive descriptors, because its socket is
	// relayed or AppArmor blocks them.
	streams atomic.Bool
}

var (
	_ backends.AllMatcher  = (*Backend)(nil)
	_ backends.Versioner   = (*Backend)(nil)
	_ backends.Reloader    = (*Backend)(nil)
	_ backends.SelfChecker = (*Backend)(nil)
	_ backends.Deadlined   = (*Backend)(nil)
)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.transport == transportPath }

// ReturnsInTime implements [backends.Deadlined].
func (b *Backend) ReturnsInTime() bool { return true }

// ReadsFiles implements [backends.FileReader].
func (b *Backend) ReadsFiles() bool { return b.transport == transportFildes }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	ctx = clamdclient.Traced(ctx)
	if ctx.Err() != nil {
		return backends.Result{}, b.node.Named(clamdclient.Failure(ctx, context.Cause(ctx)))
	}
	q, err := b.newRequest(o)
	if err != nil {
		return backends.Result{}, b.node.Named(err)
	}
	reply, err := b.ask(ctx, q)
	if q.descriptor() && b.auto && !clamdclient.Delivered(err) {
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
		reply, err = b.ask(ctx, request{object: o})
	}
	var a backends.Answer
	if err == nil || reply.Found() {
		add(&a, reply, q.path, o.Size())
	}
	if err != nil {
		return b.unanswered(ctx, &a, err)
	}
	return b.result(&a, reply.Early)
}

// unanswered returns the result of a request that ended in an error: the server's own
// text, or a connection error.
func (b *Backend) unanswered(ctx context.Context, a *backends.Answer, err error) (backends.Result, error) {
	var answer *protocol.ReplyError
	if errors.As(err, &answer) {
		addText(a, answer.Reply.Text)
		return b.result(a, answer.Reply.Early)
	}
	a.Fail(clamdclient.Failure(ctx, err))
	return b.result(a, false)
}

// result returns the result of an answer.
func (b *Backend) result(a *backends.Answer, early bool) (backends.Result, error) {
	if early {
		a.Early()
	}
	r, err := a.Result()
	return r, b.node.Named(err)
}

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	ctx = clamdclient.Traced(ctx)
	v, err := b.node.DatabaseVersion(ctx)
	return v, b.refused(ctx, err)
}

// Reload implements [backends.Reloader]. clamd loads in the background and continues to
// scan; afterwards, kept sessions use the new signatures too (1.4.6).
func (b *Backend) Reload(ctx context.Context) error {
	ctx = clamdclient.Traced(ctx)
	return b.refused(ctx, b.node.Reload(ctx))
}

// SelfCheck implements [backends.SelfChecker].
func (b *Backend) SelfCheck(ctx context.Context) (bool, error) {
	ctx = clamdclient.Traced(ctx)
	upToDate, err := b.node.SelfCheck(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, b.node.Named(err)
	}
	return upToDate, b.refused(ctx, err)
}

// refused returns the error of a request other than a scan.
func (b *Backend) refused(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, refusal := b.unanswered(ctx, new(backends.Answer), err); refusal != nil {
		return refusal
	}
	return b.node.Named(err)
}

// Close implements io.Closer: it ends idle sessions. Scans in progress finish.
func (b *Backend) Close() error {
	b.pool.Close(endSession)
	return nil
}

// ask sends a request on a kept session or a new one. If a kept session is dead, or a
// reply is unexpected, it sends the request once more on a new session. If there is none, the
// first error counts: clamd may have died of the object.
func (b *Backend) ask(ctx context.Context, q request) (protocol.Reply, error) {
	s, kept := b.pool.Take(ctx)
	if kept {
		tracing.New(ctx).Step(backends.TraceReused, "", nil)
	}
	reply, err := b.askOn(ctx, s, q)
	if ctx.Err() == nil && (kept && isSpent(err) || errors.Is(err, protocol.ErrUnexpectedReply)) {
		again, err2 := b.askOn(ctx, nil, q)
		if errors.Is(err, protocol.ErrNoReply) && errors.Is(err2, protocol.ErrNoReply) {
			return again, backends.Twice(err2)
		}
		if err2 == nil || !errors.Is(err, protocol.ErrNoReply) || !errors.As(err2, new(*backends.ConnError)) {
			return again, err2
		}
	}
	return reply, err
}

// askOn sends a request on s, or on a new session if s is nil, and keeps the session
// unless there was an error.
func (b *Backend) askOn(ctx context.Context, s *protocol.ClientSession, q request) (protocol.Reply, error) {
	if b.pool.Disabled {
		return q.once(ctx, &b.node.Client)
	}
	if s == nil {
		var err error
		if s, err = b.node.Open(ctx); err != nil {
			return protocol.Reply{}, err
		}
	}
	reply, err := q.inSession(ctx, s)
	if err == nil && !reply.Early && ctx.Err() == nil && b.pool.Put(s) {
		tracing.New(ctx).Step(backends.TraceKept, "", nil)
		return reply, nil
	}
	s.Close()
	tracing.New(ctx).Step(backends.TraceClosed, "", err)
	return reply, err
}

// maxIdle is how long an idle session is kept. clamd's default ReadTimeout is 120 s, but
// shorter ones are common, and clamd closes a connection without any command after 30 s.
const maxIdle = 25 * time.Second

func endSession(s *protocol.ClientSession) { s.Close() }

// isSpent reports whether err means that the server closed a session while it was idle,
// or sent something unexpected on it.
func isSpent(err error) bool {
	return errors.Is(err, protocol.ErrNoReply) || errors.Is(err, protocol.ErrCommandTimeout) || errors.Is(err, protocol.ErrReplySyntax)
}

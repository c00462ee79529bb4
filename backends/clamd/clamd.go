// Package clamd scans with ClamAV's daemon, clamd, or with whatever speaks its
// protocol.
//
// The dialogue, over a connection that is kept for the next scan (one at a time on
// each, clamd mixes up replies otherwise):
//
//	-> zIDSESSION<NUL> zFILDES<NUL> <byte with descriptor>     transport "fildes"
//	-> zIDSESSION<NUL> zINSTREAM<NUL> <length><data>... <0>    transport "stream"
//	-> zIDSESSION<NUL> zSCAN /path<NUL>                        transport "path"
//	<- 1: <object>: OK<NUL>
//	-> zEND<NUL>                                               25 s later, if nothing came
//
// The answers, of 0.103 to 1.5; the table in answers.go is what the code does:
//
//	<object>: OK                                  ok, code 0
//	<object>: NAME FOUND                          by the name, virus if unknown; code 1
//	<object>: (null) FOUND                        partial: a limit (0.104 to 1.0)
//	INSTREAM size limit exceeded. ERROR           partial
//	<object>: Bad format or broken data ERROR     partial, and so are exceeded limits
//	<object>: Exceeded time limit ERROR           interrupted
//	COMMAND READ TIMED OUT                        interrupted
//	<object>: Access denied. ERROR                swerr with a hint: clamd cannot read the file
//	<object>: Excluded, any other text            swerr
//	(closed without a reply)                      cannot-execute
//
// The object has to be exactly what was asked about: "stream", "fd[N]", the path.
//
// What clamd calls OK without having scanned, and what is done about it:
//
//   - a session half-closed or disturbed while a scan is under way, and replies
//     that reach the wrong client after that: a connection has one request in
//     flight, made of valid commands only, and is closed after any irregularity,
//     with END where that is possible.
//   - a write-only descriptor: checked before it is sent.
//   - symbolic links and files on /proc, by path: links are resolved here, other
//     than regular files refused.
//   - a second line that says OK behind one that says ERROR: two replies are an
//     error.
//   - a stream that clamd has not received completely: if a reply begins before the
//     last bytes are sent, only a virus, something suspicious and the size limit
//     count.
//   - an earlier object: a session with unexpected input is dropped.
//   - an object of more than 2147483645 bytes, whatever its limits are: partial.
//   - a full or unwritable TemporaryDirectory (FILDES and SCAN, 1.4.6), files over
//     MaxFileSize or MaxScanSize without AlertExceedsMax: cannot be told from a
//     clean file by any client. This is what the scan of a test file at start and
//     from time to time is for, and the reason to set AlertExceedsMax.
package clamd

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/idle"
	"polyclam/protocol"
)

// Backend is one clamd. It keeps as many connections as scans were under way at
// once, until they have been idle for a while. Safe for concurrent use.
type Backend struct {
	node      *clamdclient.Node
	transport string
	auto      bool // may turn to stream
	pool      idle.Pool[*protocol.ClientSession]

	// streams is set when descriptors turned out not to arrive: the socket is
	// relayed, or AppArmor forbids clamd to take them.
	streams atomic.Bool
}

var (
	_ backends.AllMatcher  = (*Backend)(nil)
	_ backends.Versioner   = (*Backend)(nil)
	_ backends.Reloader    = (*Backend)(nil)
	_ backends.SelfChecker = (*Backend)(nil)
)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.transport == transportPath }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, b.node.Named(clamdclient.Failure(ctx, context.Cause(ctx)))
	}
	q, err := b.prepare(o)
	if err != nil {
		return backends.Result{}, b.node.Named(err)
	}
	reply, err := b.ask(ctx, q)
	if q.file != nil && b.auto && !clamdclient.Delivered(err) {
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
		reply, err = b.ask(ctx, question{object: o})
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

// unanswered is the result of a request without OK or FOUND, or with something else
// beside it: the server's own words, or what happened to the connection.
func (b *Backend) unanswered(ctx context.Context, a *backends.Answer, err error) (backends.Result, error) {
	var words *protocol.ReplyError
	if errors.As(err, &words) {
		addText(a, words.Reply.Text)
		return b.result(a, words.Reply.Early)
	}
	a.Fail(clamdclient.Failure(ctx, err))
	return b.result(a, false)
}

// result is everything in an answer.
func (b *Backend) result(a *backends.Answer, early bool) (backends.Result, error) {
	if early {
		a.Early()
	}
	r, err := a.Result()
	return r, b.node.Named(err)
}

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	v, err := b.node.DatabaseVersion(ctx)
	return v, b.refused(ctx, err)
}

// Reload implements [backends.Reloader]. clamd loads in the background and goes on
// scanning; kept sessions use the new signatures from then on (1.4.6).
func (b *Backend) Reload(ctx context.Context) error {
	return b.refused(ctx, b.node.Reload(ctx))
}

// SelfCheck implements [backends.SelfChecker].
func (b *Backend) SelfCheck(ctx context.Context) (bool, error) {
	upToDate, err := b.node.SelfCheck(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, b.node.Named(err)
	}
	return upToDate, b.refused(ctx, err)
}

// refused is the error of a request that is not a scan.
func (b *Backend) refused(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, refusal := b.unanswered(ctx, new(backends.Answer), err); refusal != nil {
		return refusal
	}
	return b.node.Named(err)
}

// Close implements io.Closer: it ends the kept sessions. Scans under way finish.
func (b *Backend) Close() error {
	b.pool.Close(endSession)
	return nil
}

// ask asks on a kept session or a new one. If a kept session turns out to be dead, or
// any session has an unexpected reply, the object is sent again on a new one, once.
func (b *Backend) ask(ctx context.Context, q question) (protocol.Reply, error) {
	s, kept := b.pool.Take()
	reply, err := b.askOn(ctx, s, q)
	if ctx.Err() == nil && (kept && isSpent(err) || errors.Is(err, protocol.ErrUnexpectedReply)) {
		reply, err = b.askOn(ctx, nil, q)
	}
	return reply, err
}

// askOn asks on a session, a new one if s is nil, and keeps it, unless anything was
// irregular.
func (b *Backend) askOn(ctx context.Context, s *protocol.ClientSession, q question) (protocol.Reply, error) {
	if b.pool.Off {
		return q.once(ctx, &b.node.Client)
	}
	if s == nil {
		var err error
		if s, err = b.node.Open(ctx); err != nil {
			return protocol.Reply{}, err
		}
	}
	reply, err := q.inSession(ctx, s)
	if err != nil || reply.Early || ctx.Err() != nil || !b.pool.Put(s) {
		s.Close()
	}
	return reply, err
}

// maxIdle is how long a session is kept idle. clamd's default ReadTimeout is 120 s,
// but ends below it are common; 30 s is where a silent connection ends.
const maxIdle = 25 * time.Second

func endSession(s *protocol.ClientSession) { s.Close() }

// isSpent reports whether err means that the server gave up a session while it was
// idle, or sent something unexpected into it.
func isSpent(err error) bool {
	return errors.Is(err, protocol.ErrNoReply) || errors.Is(err, protocol.ErrCommandTimeout) || errors.Is(err, protocol.ErrReplySyntax)
}

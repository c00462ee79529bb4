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
//   - an OK for a stream that clamd did not take completely: refused.
//   - a full or unwritable TemporaryDirectory (FILDES and SCAN, 1.4.6), files over
//     MaxFileSize or MaxScanSize without AlertExceedsMax: cannot be told from a
//     clean file by any client. This is what the scan of a test file at start and
//     from time to time is for, and the reason to set AlertExceedsMax.
package clamd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/file"
	"polyclam/backends/internal/idle"
	"polyclam/protocol"
)

// Backend is one clamd. It keeps as many connections as scans were under way at
// once, until they have been idle for a while. Safe for concurrent use.
type Backend struct {
	address   string
	transport string
	auto      bool // may turn to stream
	client    protocol.Client
	pool      idle.Pool[*protocol.ClientSession]

	// streams is set when descriptors turned out not to arrive: the socket is
	// relayed, or AppArmor forbids clamd to take them.
	streams atomic.Bool
}

var (
	_ backends.AllMatcher = (*Backend)(nil)
	_ backends.Versioner  = (*Backend)(nil)
	_ backends.Reloader   = (*Backend)(nil)
)

// ReadsPaths implements [backends.PathReader].
func (b *Backend) ReadsPaths() bool { return b.transport == transportPath }

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	q, err := b.prepare(c)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	reply, err := b.ask(ctx, q)
	if q.file != nil && b.auto && !delivered(err) {
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
		reply, err = b.ask(ctx, question{content: c})
	}
	if err != nil {
		return b.unanswered(ctx, err)
	}
	return b.answered(reply, q.path)
}

// ScanAll implements [backends.AllMatcher]. It needs a file that clamd can read
// by path, on a connection of its own: ALLMATCHSCAN is not possible in a session.
// Where there is none, or the command is switched off, it is Scan.
func (b *Backend) ScanAll(ctx context.Context, c backends.Content) (backends.Result, error) {
	path, err := file.Path(c)
	if err != nil {
		return b.Scan(ctx, c)
	}
	var m matches
	err = b.client.AllMatchScan(ctx, path, func(r protocol.Reply) error { return m.add(r, path) })
	if len(m.names) > 0 {
		return m.result(err), nil
	}
	if cannotAllMatch(err) && ctx.Err() == nil {
		return b.Scan(ctx, c)
	}
	if err != nil {
		return b.unanswered(ctx, err)
	}
	return b.answered(m.ok, path)
}

// Version implements [backends.Versioner].
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	text, err := b.client.Version(ctx)
	if err != nil {
		_, err = b.unanswered(ctx, err)
		return backends.Version{}, err
	}
	v := backends.Version{Text: text}
	engine, rest, _ := strings.Cut(text, "/")
	database, date, _ := strings.Cut(rest, "/")
	v.Engine, v.Database = engine, database
	// clamd writes ctime(3) in the time zone of its machine.
	if t, err := time.ParseInLocation(time.ANSIC, date, time.Local); err == nil {
		v.DatabaseTime = t
	}
	return v, nil
}

// Reload implements [backends.Reloader]. clamd loads in the background and goes on
// scanning; kept sessions use the new signatures from then on (1.4.6).
func (b *Backend) Reload(ctx context.Context) error {
	if err := b.client.Reload(ctx); err != nil {
		_, err = b.unanswered(ctx, err)
		return err
	}
	return nil
}

// Close implements io.Closer: it ends the kept sessions. Scans under way finish.
func (b *Backend) Close() error {
	b.pool.Close(endSession)
	return nil
}

// ask asks on a kept session or a new one. A kept session that turns out to be
// dead before the first byte of a reply is replaced by a new one, once: the
// content can be read again.
func (b *Backend) ask(ctx context.Context, q question) (protocol.Reply, error) {
	if s, ok := b.pool.Take(); ok {
		reply, err := b.askOn(ctx, s, q)
		if !diedIdle(err) || ctx.Err() != nil {
			return reply, err
		}
	}
	if b.pool.Off {
		return q.once(ctx, &b.client)
	}
	s, err := b.client.Open(ctx)
	if err != nil {
		return protocol.Reply{}, err
	}
	return b.askOn(ctx, s, q)
}

// askOn asks on a session and keeps it, unless anything was irregular.
func (b *Backend) askOn(ctx context.Context, s *protocol.ClientSession, q question) (protocol.Reply, error) {
	reply, err := q.inSession(ctx, s)
	if err != nil || ctx.Err() != nil {
		s.Close()
		return reply, err
	}
	if !b.pool.Put(s) {
		s.Close()
	}
	return reply, nil
}

// maxIdle is how long a session is kept idle. clamd's default ReadTimeout is 120 s,
// but ends below it are common; 30 s is where a silent connection ends.
const maxIdle = 25 * time.Second

func endSession(s *protocol.ClientSession) { s.Close() }

// diedIdle reports whether err is what a session looks like that the server gave
// up while it was idle.
func diedIdle(err error) bool {
	return errors.Is(err, protocol.ErrNoReply) || errors.Is(err, protocol.ErrCommandTimeout)
}

// wrap names the engine and gives a context that is done its own error beside the
// cause, which may be anything.
func (b *Backend) wrap(ctx context.Context, err error) error {
	if done := ctx.Err(); done != nil && errors.Is(err, context.Cause(ctx)) && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("clamd %s: %w", b.address, err)
}

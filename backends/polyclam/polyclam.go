// Package polyclam scans with another polyclam, through the verbs that it adds to
// clamd's protocol, so that every category passes through a chain of proxies.
//
// The dialogue, on a new connection for each scan:
//
//	-> zXTAG <id><NUL>                             if the client handed over an id
//	-> zXFILDES<NUL> <byte with descriptor>        transport "fildes"
//	-> zXINSTREAM<NUL> <length><data>... <0>       transport "stream"
//	<- stream: OK<NUL>
//	<- stream: engine=sophos category=encrypted action=ok code=530 name=... msg="..." ENGINE<NUL>
//	<- stream: category=encrypted action=ok code=530 engine=sophos engines=2 failed=0 version=1 SUMMARY<NUL>
//	<- END<NUL>
//
// The result is made of the ENGINE records: the findings and failures of every engine
// that counts at the other site. This site's policy applies to them. The SUMMARY follows
// the other site's precedence, and the last word of the status line its actions, so both
// are only checked:
//
//   - The result is ok only if the status line and the SUMMARY are, and no engine that
//     counts found anything.
//   - A SUMMARY whose category no engine reported is a failure, and so is a missing
//     SUMMARY or END. Findings are kept in addition to the failure.
//   - If the answer begins before the last bytes are sent, only virus and suspicious
//     count. Anything else is a failure.
//
// Answers without records:
//
//	INSTREAM size limit exceeded. ERROR     partial
//	COMMAND READ TIMED OUT                  interrupted
//	UNKNOWN COMMAND                         swerr: a plain clamd, use backend = "clamd"
//	(closed without a reply)                cannot-execute
//	anything else                           swerr
//
// The listener of the other polyclam should have client = "generic": the other profiles
// report failures by closing the connection or by a name, and then some of the answers
// above have no records.
//
// # Loops
//
// polyclamd refuses a configuration whose engine is one of its listeners. It
// does not detect a loop through another polyclam or a relay. Every round of such a loop
// takes a slot of the engine, so there are at most max_scans rounds. The last one waits
// for a slot until the first timeout: the engine's own, the deadline of the context of
// Scan, or answer_within of a listener. Scan has no other bound. The result is
// Interrupted, even for a clean object: a loop is never ok.
package polyclam

import (
	"context"
	"errors"
	"os"
	"sync/atomic"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/protocol"
)

// Abilities says what another polyclam can report, which is whatever its engines can.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "polyclam itself",
	Tested: "real engine",
}

// A Backend scans with one other polyclam. It is safe for concurrent use.
type Backend struct {
	node      *clamdclient.Node
	transport string
	auto      bool // may fall back to stream

	// streams is set after a descriptor failed to arrive.
	streams atomic.Bool
	// untagged is set after the other polyclam did not know XTAG.
	untagged atomic.Bool
}

var (
	_ backends.Versioner   = (*Backend)(nil)
	_ backends.Reloader    = (*Backend)(nil)
	_ backends.SelfChecker = (*Backend)(nil)
)

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
	file, err := b.file(o)
	if err != nil {
		return backends.Result{}, b.node.Named(err)
	}
	reply, err := b.ask(b.tagged(ctx), o, file)
	if errors.Is(err, protocol.ErrUnknownCommand) && len(reply.Records) == 0 && !b.untagged.Load() && backends.Tag(ctx) != "" {
		reply, err = b.ask(ctx, o, file)
		if !errors.Is(err, protocol.ErrUnknownCommand) {
			b.untagged.Store(true)
		}
	}
	return b.result(ctx, reply, err)
}

// tagged returns a context that hands the client's id on.
func (b *Backend) tagged(ctx context.Context) context.Context {
	if tag := backends.Tag(ctx); tag != "" && !b.untagged.Load() {
		return protocol.WithTag(ctx, tag)
	}
	return ctx
}

// ask sends the object: by descriptor if file is not nil.
func (b *Backend) ask(ctx context.Context, o backends.Object, file *os.File) (protocol.ExtendedReply, error) {
	if file != nil {
		reply, err := b.node.XFildes(ctx, file)
		if !b.auto || clamdclient.Delivered(err) {
			return reply, err
		}
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
	}
	return b.node.XInstream(ctx, clamdclient.Reader(o, o.Size()))
}

// file returns the file whose descriptor to pass, or nil to send a stream.
func (b *Backend) file(o backends.Object) (*os.File, error) {
	if b.transport == transportStream || b.streams.Load() {
		return nil, nil
	}
	f, err := o.File()
	if err != nil && b.auto {
		return nil, nil
	}
	if err != nil {
		return nil, &backends.ObjectError{Doing: "no descriptor of the object", Err: err}
	}
	return f, nil
}

// result returns all findings and failures in a reply.
func (b *Backend) result(ctx context.Context, reply protocol.ExtendedReply, err error) (backends.Result, error) {
	var a backends.Answer
	var answer *protocol.ReplyError
	switch {
	case errors.As(err, &answer) && len(reply.Records) == 0:
		explain(&a, answer)
		reply.Early = answer.Reply.Early
	case err == nil, answer != nil:
		collect(&a, reply)
	default:
		if len(reply.Records) > 0 {
			collect(&a, reply)
		}
		a.Fail(clamdclient.Failure(ctx, err))
	}
	if reply.Early {
		a.Early()
	}
	r, err := a.Result()
	return r, b.node.Named(err)
}

// Version implements [backends.Versioner] with the version that the other polyclam
// reports: its ClamAV's version, if it has one.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	ctx = clamdclient.Traced(ctx)
	v, err := b.node.DatabaseVersion(ctx)
	return v, b.refused(ctx, err)
}

// Reload implements [backends.Reloader]: the other polyclam reloads its engines.
func (b *Backend) Reload(ctx context.Context) error {
	ctx = clamdclient.Traced(ctx)
	return b.refused(ctx, b.node.Reload(ctx))
}

// SelfCheck implements [backends.SelfChecker]: the other polyclam asks its engines.
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
	if _, refusal := b.result(ctx, protocol.ExtendedReply{}, err); refusal != nil {
		return refusal
	}
	return b.node.Named(err)
}

// Package polyclam scans with another polyclam, through the verbs that it adds to
// clamd's protocol, so that a proxy behind a proxy keeps every category.
//
// The dialogue, a connection for each scan:
//
//	-> zXFILDES<NUL> <byte with descriptor>        transport "fildes"
//	-> zXINSTREAM<NUL> <length><data>... <0>       transport "stream"
//	<- stream: OK<NUL>
//	<- stream: engine=sophos category=encrypted action=ok code=530 name=... msg="..." ENGINE<NUL>
//	<- stream: category=encrypted action=ok code=530 engine=sophos engines=2 failed=0 version=1 SUMMARY<NUL>
//	<- END<NUL>
//
// The result is taken from the ENGINE records: findings and failures of every engine
// that counts there. Policy is this site's. The SUMMARY follows the other site's
// precedence, and the last word of the status line its actions, so they are only
// checked:
//
//   - ok is believed only if the status line and the SUMMARY say so, and every engine
//     that counts found nothing.
//   - a SUMMARY with a category that no engine has is a failure, and so is a missing
//     SUMMARY or END. Findings are kept beside the failure.
//   - an answer that begins before the last bytes are sent is a virus, something
//     suspicious, or a failure.
//
// Answers without records:
//
//	INSTREAM size limit exceeded. ERROR     partial
//	COMMAND READ TIMED OUT                  interrupted
//	UNKNOWN COMMAND                         swerr: a plain clamd, use backend = "clamd"
//	(closed without a reply)                cannot-execute
//	anything else                           swerr
//
// The other side's listener should have client = "generic": others are told of
// failures by a closed connection or a name, and some of the answers above have no
// records then.
//
// # Loops
//
// polyclamd refuses a configuration in which an engine is one of its own listeners.
// A loop by way of others, or of a relay, is not recognised. Every round takes a slot
// of the engine, so that there are never more of them than max_scans; the last one
// waits for a slot, and the whole ends with the first timeout: the engine's own, the
// deadline of the context that Scan is given, or answer_within of a listener,
// whichever is shorter. Scan itself has no other bound. That is Interrupted, and it is
// what every client hears of a clean content: a loop is never ok.
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

// Abilities is what another polyclam can tell: what its engines can.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "polyclam itself",
	Tested: "real engine",
}

// Backend is one polyclam. It is safe for concurrent use.
type Backend struct {
	node      *clamdclient.Node
	transport string
	auto      bool // may turn to stream

	// streams is set when descriptors turned out not to arrive.
	streams atomic.Bool
}

var (
	_ backends.Versioner   = (*Backend)(nil)
	_ backends.Reloader    = (*Backend)(nil)
	_ backends.SelfChecker = (*Backend)(nil)
)

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, b.node.Named(clamdclient.Failure(ctx, context.Cause(ctx)))
	}
	file, err := b.file(o)
	if err != nil {
		return backends.Result{}, b.node.Named(err)
	}
	if file != nil {
		reply, records, err := b.node.XFildes(ctx, file)
		if !b.auto || clamdclient.Delivered(err) {
			return b.result(ctx, reply, records, err)
		}
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
	}
	reply, records, err := b.node.XInstream(ctx, clamdclient.Reader(o, o.Size()))
	return b.result(ctx, reply, records, err)
}

// file is the descriptor to hand over, nil for a stream.
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

// result is everything in an answer.
func (b *Backend) result(ctx context.Context, reply protocol.Reply, records []protocol.Record, err error) (backends.Result, error) {
	var a backends.Answer
	var words *protocol.ReplyError
	switch {
	case errors.As(err, &words) && len(records) == 0:
		explain(&a, words)
		reply.Early = words.Reply.Early
	case err == nil, words != nil:
		collect(&a, reply, records)
	default:
		if len(records) > 0 {
			collect(&a, reply, records)
		}
		a.Fail(clamdclient.Failure(ctx, err))
	}
	if reply.Early {
		a.Early()
	}
	r, err := a.Result()
	return r, b.node.Named(err)
}

// Version implements [backends.Versioner]: it is that of the other side's ClamAV, or
// what stands for it there.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	v, err := b.node.DatabaseVersion(ctx)
	return v, b.refused(ctx, err)
}

// Reload implements [backends.Reloader]: the other side tells its engines.
func (b *Backend) Reload(ctx context.Context) error {
	return b.refused(ctx, b.node.Reload(ctx))
}

// SelfCheck implements [backends.SelfChecker]: the other side asks its engines.
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
	if _, refusal := b.result(ctx, protocol.Reply{}, nil, err); refusal != nil {
		return refusal
	}
	return b.node.Named(err)
}

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
// The SUMMARY says what the answer amounts to: its category and code, with the names
// of the ENGINE records that count. The last word of the status line is not asked
// for it: it follows the other site's actions, and ours are this site's. But nothing
// is ok that is not ok in all of them:
//
//   - ok is believed only if the status line says OK, and every engine that counts
//     found nothing.
//   - encrypted or partial beside an engine that counts and failed is that failure:
//     this site's policy could not see it otherwise.
//   - a virus that any engine found is a virus, wherever the other site's precedence
//     puts it.
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
// polyclamd refuses a configuration in which an upstream is one of its own listeners.
// A loop by way of others, or of a relay, is not recognised. Every round takes a slot
// of the upstream, so that there are never more of them than max_scans; the last one
// waits for a slot, and the whole ends with the first timeout: the upstream's own, the
// deadline of the context that Scan is given, or answer_within of a listener,
// whichever is shorter. Scan itself has no other bound. That is Interrupted, and it is
// what every client hears of a clean content: a loop is never ok.
package polyclam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
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
	address   string
	transport string
	auto      bool // may turn to stream
	client    protocol.Client

	// streams is set when descriptors turned out not to arrive.
	streams atomic.Bool
}

var (
	_ backends.Versioner = (*Backend)(nil)
	_ backends.Reloader  = (*Backend)(nil)
)

// Scan implements [backends.Backend].
func (b *Backend) Scan(ctx context.Context, c backends.Content) (backends.Result, error) {
	if ctx.Err() != nil {
		return backends.Result{}, b.wrap(ctx, context.Cause(ctx))
	}
	file, err := b.file(c)
	if err != nil {
		return backends.Result{}, b.wrap(ctx, err)
	}
	if file != nil {
		reply, records, err := b.client.XFildes(ctx, file)
		if !b.auto || delivered(err) {
			return b.amounts(ctx, reply, records, err)
		}
		if !errors.Is(err, protocol.ErrDescriptor) {
			b.streams.Store(true)
		}
	}
	reply, records, err := b.client.XInstream(ctx, &reader{c: c, size: c.Size()})
	return b.amounts(ctx, reply, records, err)
}

// file is the descriptor to hand over, nil for a stream.
func (b *Backend) file(c backends.Content) (*os.File, error) {
	if b.transport == transportStream || b.streams.Load() {
		return nil, nil
	}
	f, err := c.File()
	if err != nil && b.auto {
		return nil, nil
	}
	if err != nil {
		return nil, wire.Ours("no descriptor of the content", err)
	}
	return f, nil
}

// delivered reports whether err is anything else than a descriptor that did not
// reach the other side.
func delivered(err error) bool {
	var answer *protocol.ReplyError
	if errors.As(err, &answer) {
		return answer.Reply.Text != "No file descriptor received."
	}
	return !errors.Is(err, protocol.ErrDescriptor)
}

// Version implements [backends.Versioner]: it is that of the other side's ClamAV, or
// what stands for it there.
func (b *Backend) Version(ctx context.Context) (backends.Version, error) {
	text, err := b.client.Version(ctx)
	if err != nil {
		return backends.Version{}, b.unanswered(ctx, err)
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

// Reload implements [backends.Reloader]: the other side tells its engines.
func (b *Backend) Reload(ctx context.Context) error {
	if err := b.client.Reload(ctx); err != nil {
		return b.unanswered(ctx, err)
	}
	return nil
}

// unanswered is the error for an answer to anything but a scan.
func (b *Backend) unanswered(ctx context.Context, err error) error {
	_, err = b.explained(ctx, err)
	return err
}

// wrap names the engine and gives a context that is done its own error beside the
// cause, which may be anything.
func (b *Backend) wrap(ctx context.Context, err error) error {
	if done := ctx.Err(); done != nil && errors.Is(err, context.Cause(ctx)) && !errors.Is(err, done) {
		err = fmt.Errorf("%w: %w", done, err)
	}
	return fmt.Errorf("polyclam %s: %w", b.address, err)
}

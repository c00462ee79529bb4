package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unicode"
	"unicode/utf8"

	"polyclam/backends"
	"polyclam/protocol"
	"polyclam/proxy/engine"
	"polyclam/proxy/files"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
	"polyclam/proxy/stack"
)

// Limits on reading the rest of a rejected stream, so that the client reads the reply and
// does not get a broken pipe. A client that has stopped sending gets the reply soon.
const (
	drainQuiet = 200 * time.Millisecond
	drainTotal = 20 * time.Second
	drainBytes = 1 << 30
)

// keep reads a stream into the spool. It returns nil if there is nothing to scan: the client
// has been answered, or has gone.
func (r *request) keep(stream *protocol.Stream, w *spool.Writer) *spool.Object {
	defer w.Abort()
	r.setPace(stream)
	received, err := stream.WriteTo(w)
	return r.kept(stream, w, received, err)
}

func (r *request) setPace(stream *protocol.Stream) {
	stream.SetPace(protocol.Pace{MinRate: r.cfg.Limits.StreamMinRate, MaxTime: r.cfg.Limits.StreamMaxTime})
}

// kept is keep after the last WriteTo, which has returned err. received is how much has come.
func (r *request) kept(stream *protocol.Stream, w *spool.Writer, received int64, err error) *spool.Object {
	if err == nil {
		object, err := w.Finish()
		if err == nil {
			return object
		}
		r.notKept(err)
		return nil
	}
	var writeErr *protocol.WriteError
	switch {
	case errors.Is(err, protocol.ErrStreamLimit):
		w.Abort()
		r.notScanned(lapseLimit, "stream", "size limit exceeded", r.overLimit(stream, received))
		stream.Drain(drainQuiet, drainTotal, drainBytes)
		r.fail(r.lst.Profile.SizeLimit())
	case errors.As(err, &writeErr):
		w.Abort()
		if errors.Is(err, errGone) {
			r.notScanned(lapseGone, "stream", "client gone", nil)
			return nil
		}
		stream.Drain(drainQuiet, drainTotal, drainBytes)
		r.notKept(writeErr.Err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.notScanned(lapseGone, "stream", r.tooSlow(err), nil)
		r.timedOut()
	default:
		r.lost(err)
	}
	return nil
}

// overLimit describes how a stream exceeded its limit, for the log: the length that the
// client announced, what it had sent before, and the limit.
func (r *request) overLimit(stream *protocol.Stream, received int64) error {
	limit := r.cfg.Limits.Stream
	if r.cmd.Verb == protocol.VerbStream { // STREAM has no chunks
		return fmt.Errorf("more than %d bytes (key stream)", limit)
	}
	n := stream.Excess()
	what := fmt.Sprintf("a chunk of %d bytes after %d bytes, and the limit is %d (key stream)", n, received, limit)
	if text := binary.BigEndian.AppendUint32(nil, uint32(n)); !bytes.ContainsFunc(text, notText) {
		what += fmt.Sprintf("; the bytes of this length are the text %q, so the client probably sends no lengths before its chunks", text)
	}
	return errors.New(what)
}

func notText(c rune) bool { return c >= utf8.RuneSelf || !unicode.IsPrint(c) && !unicode.IsSpace(c) }

// tooSlow names the limit that ended a stream, for the log.
func (r *request) tooSlow(err error) string {
	switch {
	case errors.Is(err, protocol.ErrStreamSlow):
		return fmt.Sprintf("less than %d bytes a second over %v (key stream_min_rate)", r.cfg.Limits.StreamMinRate, r.cfg.Limits.ReadTimeout)
	case errors.Is(err, protocol.ErrStreamLong):
		return fmt.Sprintf("not complete after %v (key stream_max_time)", r.cfg.Limits.StreamMaxTime)
	}
	return "read timeout"
}

// notKept answers a stream that the spool could not store, because the disk is full or the
// quota is used up. The words are those of a clamd whose disk is full.
func (r *request) notKept(err error) {
	r.notScanned(lapseSpool, "stream", "spool", err)
	r.fail(r.lst.Profile.Error("stream", "Error writing to temporary file"))
}

// scanStream scans a received stream, and releases it.
func (r *request) scanStream(object *spool.Object) {
	defer object.Release()
	ctx, cancel := r.deadline()
	defer cancel()
	r.scan(ctx, "stream", object)
}

// fildes scans the descriptor of a one-shot FILDES.
func (r *request) fildes() {
	fd, err := r.s.conn.RawDescriptor()
	if err != nil {
		r.refuse(err)
		return
	}
	r.scanDescriptor(fd)
}

// scanDescriptor scans the whole file of a descriptor, whatever its offset, and closes the
// descriptor.
func (r *request) scanDescriptor(fd int) {
	name := fmt.Sprintf("fd[%d]", fd)
	if err := r.takeTicket(); err != nil {
		r.s.srv.files.Discard(r.s.peer.key, fd)
		r.overRate(name, err)
		return
	}
	ctx, cancel := r.deadline()
	defer cancel()
	object, err := r.adopt(ctx, fd)
	switch {
	case err == nil:
		defer object.Release()
		r.scan(ctx, name, object)
	case errors.Is(err, spool.ErrTooLarge):
		r.notScanned(lapseLimit, name, "too large to be copied", err)
		r.replyVerdict(name, tooLarge(r.lst.Policy))
	case errors.Is(err, files.ErrNotRegular):
		r.notScanned(lapsePath, name, "not a regular file", err)
		r.fail(r.lst.Profile.ClamdError(name, "Not a regular file ERROR"))
	default:
		// clamd 1.4.6 answers OK for a descriptor that it cannot read.
		r.notScanned(lapseOf(err), name, "not readable", err)
		r.fail(r.lst.Profile.ClamdError(name, descriptorError(err)))
	}
}

// adopt returns an object for the descriptor fd, which it owns.
func (r *request) adopt(ctx context.Context, fd int) (*spool.Object, error) {
	f, err := r.s.srv.files.Adopt(ctx, fd)
	if err != nil {
		return nil, err
	}
	return r.s.srv.spool.Open(ctx, f, r.cfg.Limits.Stream)
}

// scan scans one object, replies and logs.
func (r *request) scan(ctx context.Context, name string, object *spool.Object) {
	v, elapsed := r.judge(ctx, name, object)
	r.replyVerdict(name, v)
	if object.Size() > quickHash || r.cfg.Hash.wants(v) {
		r.halfClose() // else so little work follows that linger does it, if the client is still there
	}
	r.scanned(name, object, v, elapsed)
}

// judge has every engine scan an object and merges their reports.
func (r *request) judge(ctx context.Context, name string, object *spool.Object) (policy.Verdict, time.Duration) {
	stack.GrowForScan()
	defer r.s.srv.running.begin(r.s.peer.key, string(r.cmd.Verb), name)()
	if r.id == 0 { // in an IDSESSION the reader watches, see [idSession.watched]
		r.s.watch.begin()
		defer r.s.watch.end()
	}
	start := time.Now()
	if engine.CameBack(object, r.s.address) {
		return ownHealthCheck(), time.Since(start)
	}
	all := r.cmd.Verb == protocol.VerbAllMatchScan
	if engine.Traces() {
		ctx = engine.WithTraceFields(ctx, r.traceFields)
	}
	if r.tag != "" {
		ctx = backends.WithTag(ctx, r.tag)
	}
	on, watched := byMode(r.engines)
	v := r.merge(ctx, on, object, all)
	r.observe(watched, object, v, all)
	if v.Category == backends.Encrypted {
		v.Container = container(object)
	}
	return v, time.Since(start)
}

// merge has the engines that are on scan the object, and merges their reports.
func (r *request) merge(ctx context.Context, on []*engine.Engine, object *spool.Object, all bool) policy.Verdict {
	if len(on) == 0 {
		return noneOn(r.engines, r.lst.Policy)
	}
	return r.lst.Policy.Merge(fanOut(ctx, on, r.lst.Policy, object, all))
}

// ownHealthCheck is the verdict for one of polyclam's own test objects that an engine has
// sent back to it. It is a failure whatever the policy says about failures.
func ownHealthCheck() policy.Verdict {
	return policy.Verdict{
		Code: backends.NoCode, Category: backends.SWErr, Action: policy.Tempfail, Cause: backends.SWErr,
		Detail: "a health check of polyclam's own came back: an engine asks polyclam itself",
	}
}

// tooLarge is the verdict for a file that would have to be copied and is larger than
// limits.stream. Nothing of it was scanned, and a retry does not help.
func tooLarge(p *policy.Policy) policy.Verdict {
	return partial(p, "Heuristics.Limits.Exceeded.MaxFileSize")
}

// partial is the verdict for an object that can never be scanned completely. name is
// clamd's name for the reason.
func partial(p *policy.Policy, name string) policy.Verdict {
	return p.Merge([]policy.Report{{Required: true, Result: backends.Found(backends.NoCode, name)}})
}

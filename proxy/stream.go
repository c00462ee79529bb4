package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/files"
	"polyclam/proxy/policy"
	"polyclam/proxy/spool"
)

// Bounds on reading the rest of a stream that cannot be taken, so that its client
// reads the reply and not a broken pipe. A client that waits for the reply itself
// is silent and gets it at once.
const (
	drainQuiet = 200 * time.Millisecond
	drainTotal = 20 * time.Second
	drainBytes = 1 << 30
)

// receive reads the stream of an INSTREAM into the spool, as keep does.
func (r *request) receive() *spool.Object {
	w := r.s.srv.spool.Create(r.s.ctx)
	return r.keep(r.s.conn.Stream(r.cfg.Limits.Stream, r.cfg.Limits.ReadTimeout), w, watchedWriter{w, r.s})
}

// keep reads a stream into the spool by w, to which to passes it on. It returns nil
// if there is nothing to scan: then the client has its answer, or has gone.
func (r *request) keep(stream *protocol.Stream, w *spool.Writer, to io.Writer) *spool.Object {
	defer w.Abort()
	stream.SetPace(protocol.Pace{MinRate: r.cfg.Limits.StreamMinRate, MaxTime: r.cfg.Limits.StreamMaxTime})
	_, err := stream.WriteTo(to)
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
		stream.Drain(drainQuiet, drainTotal, drainBytes)
		r.notScanned("stream", "size limit exceeded", nil)
		r.fail(r.lst.Profile.SizeLimit())
	case errors.As(err, &writeErr):
		w.Abort()
		if errors.Is(err, errGone) {
			r.notScanned("stream", "client gone", nil)
			return nil
		}
		stream.Drain(drainQuiet, drainTotal, drainBytes)
		r.notKept(writeErr.Err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		r.notScanned("stream", r.tooSlow(err), nil)
		r.timedOut()
	default:
		r.lost(err)
	}
	return nil
}

// tooSlow says which limit ended a stream, for the log.
func (r *request) tooSlow(err error) string {
	switch {
	case errors.Is(err, protocol.ErrStreamSlow):
		return fmt.Sprintf("less than %d bytes a second over %v (key stream_min_rate)", r.cfg.Limits.StreamMinRate, r.cfg.Limits.ReadTimeout)
	case errors.Is(err, protocol.ErrStreamLong):
		return fmt.Sprintf("not complete after %v (key stream_max_time)", r.cfg.Limits.StreamMaxTime)
	}
	return "read timeout"
}

// notKept says that the stream could not be kept: the disk is full, or the quota
// used up. The words are clamd's for its full disk.
func (r *request) notKept(err error) {
	r.notScanned("stream", "spool", err)
	r.fail(r.lst.Profile.Error("stream", "Error writing to temporary file"))
}

// scanStream scans a stream that has been received, and releases it.
func (r *request) scanStream(object *spool.Object) {
	defer object.Release()
	reserveForScan(0)
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

// scanDescriptor scans the file a client handed over, from its beginning whatever
// its offset, and closes it.
func (r *request) scanDescriptor(fd int) {
	object := fmt.Sprintf("fd[%d]", fd)
	ctx, cancel := r.deadline()
	defer cancel()
	obj, err := r.adopt(ctx, fd)
	switch {
	case err == nil:
		defer obj.Release()
		r.scan(ctx, object, obj)
	case errors.Is(err, spool.ErrTooLarge):
		r.notScanned(object, "too large to be copied", err)
		r.answerVerdict(object, tooLarge(r.lst.Policy))
	case errors.Is(err, files.ErrNotRegular):
		r.notScanned(object, "not a regular file", err)
		r.fail(r.lst.Profile.ClamdError(object, "Not a regular file ERROR"))
	default:
		// clamd 1.4.6 answers OK for a descriptor that it cannot read.
		r.notScanned(object, "not readable", err)
		r.fail(r.lst.Profile.ClamdError(object, descriptorWords(err)))
	}
}

// adopt makes an object of the descriptor fd, which it owns.
func (r *request) adopt(ctx context.Context, fd int) (*spool.Object, error) {
	f, err := r.s.srv.files.Adopt(ctx, fd)
	if err != nil {
		return nil, err
	}
	return r.s.srv.spool.Open(ctx, f, r.cfg.Limits.Stream)
}

// descriptorWords words why a descriptor could not be scanned.
func descriptorWords(err error) string {
	var stuck *files.StuckError
	switch {
	case errors.As(err, &stuck):
		return stuckWords(err)
	case errors.Is(err, spool.ErrQuota), errors.Is(err, spool.ErrStorage):
		return "Error writing to temporary file ERROR"
	}
	return "Can't read file ERROR"
}

// tooLarge is the verdict of a file that would have to be copied, and is larger than
// limits.stream: nothing of it was scanned, and no retry helps.
func tooLarge(p *policy.Policy) policy.Verdict {
	return incomplete(p, "Heuristics.Limits.Exceeded.MaxFileSize")
}

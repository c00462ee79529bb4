package proxy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/rs/zerolog"

	"polyclam/proxy/files"
	"polyclam/proxy/printable"
	"polyclam/proxy/rates"
)

// maxTicketWait is the longest pause of a scan beyond the client's rate, if a tenth of
// answer_within is not shorter. A walk through a directory waits longer.
var maxTicketWait = time.Second

// tooManyScans is the text of the reply to a scan beyond the client's rate.
const tooManyScans = "Too many scans"

// A rateError is the reason why a scan may not begin: the client has begun too many.
type rateError struct {
	rate  rates.Rate
	pause time.Duration // until the scan could begin
}

// Error implements error.
func (e *rateError) Error() string {
	pause := "too long a pause"
	if e.pause < time.Duration(math.MaxInt64) {
		pause = fmt.Sprintf("a pause of %v", e.pause.Round(time.Millisecond))
	}
	return fmt.Sprintf("the client has begun more than %v scans a second, %d together; this one would need %s (keys scans_per_second and burst)",
		e.rate.PerSecond, e.rate.Burst, pause)
}

// takeTicket waits until the client may begin one more scan. An error means that it may not:
// a *rateError, or the end of the session. It takes no lock if the listener has no rate.
func (r *request) takeTicket() error {
	return r.takeTicketWithin(min(maxTicketWait, r.lst.Profile.AnswerWithin/10))
}

// takeTicketWithin is takeTicket with the longest pause.
func (r *request) takeTicketWithin(most time.Duration) error {
	if r.lst.Rate.PerSecond <= 0 || r.s.peer.key.IsZero() {
		return nil
	}
	l := r.s.srv.rates.Of(r.s.address)
	if l == nil {
		return nil // a reload has just removed the limit
	}
	ticket, pause, ok := l.Take(r.s.peer.key, most)
	if !ok {
		return &rateError{r.lst.Rate, pause}
	}
	if r.id == 0 { // in an IDSESSION the reader watches
		r.s.watch.begin()
		defer r.s.watch.end()
	}
	return ticket.Wait(r.s.ctx)
}

// mayStream reports whether the client may begin the scan of a stream. If not, it has been
// answered, or has gone.
func (r *request) mayStream() bool {
	var err error
	r.awaitingStream(func() { err = r.takeTicket() })
	if err == nil {
		return true
	}
	if errors.As(err, new(*rateError)) {
		// The client reads the reply only after it has sent the stream.
		r.drained = r.s.conn.Stream(r.cfg.Limits.Stream, r.cfg.Limits.ReadTimeout).Drain(drainQuiet, drainTotal, drainBytes)
	}
	r.overRate("stream", err)
	return false
}

// awaitingStream runs f, which keeps the session from reading a stream. In an IDSESSION the
// reader itself waits here, so it must watch the client meanwhile.
func (r *request) awaitingStream(f func()) {
	if r.id == 0 || r.lst.Rate.PerSecond <= 0 {
		f()
		return
	}
	r.s.watch.begin()
	defer r.s.watch.end()
	f()
}

// overRate answers a scan that may not begin.
func (r *request) overRate(name string, err error) {
	if !errors.As(err, new(*rateError)) {
		r.notScanned(lapseGone, name, goneReason(r.s.srv.ctx), nil)
		return
	}
	r.logOverRate(name, err)
	r.fail(r.lst.Profile.Error(name, tooManyScans))
}

// goneReason says why a session ended.
func goneReason(server context.Context) string {
	if server.Err() != nil {
		return "shutdown"
	}
	return "client gone"
}

// logOverRate counts a scan beyond the client's rate, and logs it unless that was logged a
// moment ago.
func (r *request) logOverRate(name string, err error) {
	r.s.srv.tally.notScanned[lapseRate].Add(1)
	e := r.once("rate "+r.s.address, zerolog.WarnLevel)
	if e == nil {
		return
	}
	e.Str("object", printable.Escape(name, maxLoggedPath)).Str("reason", "too many scans").Str("error", err.Error()).Msg("not scanned")
}

// tooManyFiles is the line for the files of a directory that a walk does not reach because
// of the client's rate.
const tooManyFiles = tooManyScans + " ERROR"

// admit reports whether the client may begin the scan of the one file that it named. If not,
// it closes the file and answers.
func (w *walk) admit(f *files.File, path string) bool {
	err := w.r.takeTicket()
	if err == nil {
		return true
	}
	f.Close()
	if !errors.As(err, new(*rateError)) {
		w.r.notScanned(lapseGone, path, goneReason(w.r.s.srv.ctx), nil)
		w.reply.abandon()
		return false
	}
	w.r.logOverRate(path, err)
	w.reply.failure(path, tooManyFiles)
	return false
}

// await waits until the client may begin the scan of a file in a directory. Each file counts,
// and a walk is slowed down to the client's rate, rather than refused: it ends only if a file
// would have to wait longer than answer_within, or with one deadline for the whole directory
// longer than what is left of that. Then await closes the file and reports false.
func (w *walk) await(ctx context.Context, f *files.File, path string) (waited, ok bool) {
	if w.r.lst.Rate.PerSecond <= 0 {
		return false, true
	}
	most := w.r.lst.Profile.AnswerWithin
	if end, ok := ctx.Deadline(); ok && w.bounded {
		most = time.Until(end)
	}
	err := w.r.takeTicketWithin(most)
	if err == nil {
		return true, true
	}
	f.Close()
	w.mu.Lock()
	defer w.mu.Unlock()
	if errors.As(err, new(*rateError)) {
		w.overRate = err
	}
	if w.missed == "" {
		w.missed = path
	}
	return true, false
}

package proxy

import (
	"context"
	"errors"
	"fmt"
)

// over reports whether the walk must stop. If the reason is time or a file system that does
// not answer, next is the first object that the walk missed, and the reply must say so.
func (w *walk) over(next string) bool {
	found, gone := w.reply.state()
	if gone || w.stopAtFound && found {
		return true
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() == nil && !w.stuck && w.overRate == nil {
		return false
	}
	if w.missed == "" {
		w.missed = next
	}
	return true
}

// whyCutOff returns clamd's words for a walk that ended early, and the reason.
func (w *walk) whyCutOff() (words, reason string) {
	within := w.r.lst.Profile.AnswerWithin
	switch {
	case w.overRate != nil:
		return tooManyFiles, w.overRate.Error() + "; this and what follows it was not scanned"
	case errors.Is(w.noDescriptors, context.DeadlineExceeded):
		return timedOut, fmt.Sprintf("answer_within, %v, was over while this waited for other walks through directories to end; "+
			"to let more walks run at the same time, raise limits.connections, or limits.client_share for those of one client", within)
	case errors.Is(w.ctx.Err(), context.DeadlineExceeded):
		return timedOut, fmt.Sprintf("answer_within, %v for the whole directory, was over before this and what follows it", within)
	case w.ctx.Err() == nil: // stuck
		return timedOut, "the file system of what came before this and what follows it did not answer"
	case w.r.s.srv.ctx.Err() != nil:
		return interrupted, "the daemon stopped before this and what follows it; shutdown_grace is how long it waits"
	}
	return interrupted, "the client was gone before this and what follows it"
}

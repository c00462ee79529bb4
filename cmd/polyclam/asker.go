package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"polyclam/backends"
)

// asker has single objects scanned. It is safe for concurrent use.
type asker struct {
	server   *server
	stream   bool // send bytes, not descriptors
	timeout  time.Duration
	stdin    io.Reader
	progress *progress
	stop     context.CancelCauseFunc // called when no further object need be tried
}

// errSilent ends a scan that takes too long.
var errSilent = errors.New("the server does not answer")

// outcome scans one object.
func (a *asker) outcome(ctx context.Context, o object) (oc outcome) {
	start := time.Now()
	oc = newOutcome(o.name)
	defer func() { oc.Elapsed = millis(time.Since(start).Seconds()) }()
	switch {
	case o.err != nil:
		oc.fail(backends.CannotExecute, localText(o.err))
		return oc
	case ctx.Err() != nil:
		oc.fail(backends.CannotExecute, "not tried: "+context.Cause(ctx).Error())
		return oc
	case o.stdin:
		a.progress.begin(o.name)
		a.sendStream(ctx, &oc, a.stdin)
		return oc
	}
	f, size, err := o.open()
	if err != nil {
		oc.fail(backends.CannotExecute, localText(err))
		return oc
	}
	defer f.Close()
	a.progress.begin(o.name)
	if a.stream {
		a.sendStream(ctx, &oc, f)
		return oc
	}
	oc.Size = size
	a.sendFile(ctx, &oc, f)
	return oc
}

// sendFile hands the open file over.
func (a *asker) sendFile(ctx context.Context, oc *outcome, f *os.File) {
	w := a.watch(ctx)
	defer w.end()
	if a.server.extended {
		reply, err := a.server.client.XFildes(w.ctx, f)
		oc.judge(reply, a.failed(err))
		return
	}
	reply, err := a.server.client.Fildes(w.ctx, f)
	oc.judgePlain(reply, a.failed(err))
}

// sendStream sends the bytes. The time for the answer begins anew with each read,
// and does not pass during one: a slow source is not the server's fault.
func (a *asker) sendStream(ctx context.Context, oc *outcome, r io.Reader) {
	w := a.watch(ctx)
	defer w.end()
	c := &copied{r: &awaited{r, w}, tell: a.progress.read}
	if a.server.extended {
		reply, err := a.server.client.XInstream(w.ctx, c)
		oc.judge(reply, a.failed(err))
	} else {
		reply, err := a.server.client.Instream(w.ctx, c)
		oc.judgePlain(reply, a.failed(err))
	}
	oc.Size = c.n
}

// failed looks at the error of a scan: where one could not connect, the next
// cannot either.
func (a *asker) failed(err error) error {
	if isGone(err) {
		err = fmt.Errorf("%w from %s: %w", errGone, a.server, plainError(err))
		a.stop(err)
	}
	return err
}

// watch ends a scan that takes too long.
type watch struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timeout time.Duration
	timer   *time.Timer // nil: no limit
}

func (a *asker) watch(ctx context.Context) *watch {
	w := &watch{timeout: a.timeout}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	if a.timeout > 0 {
		w.timer = time.AfterFunc(a.timeout, func() { w.cancel(fmt.Errorf("%w within %v", errSilent, a.timeout)) })
	}
	return w
}

func (w *watch) end() {
	w.pause()
	w.cancel(nil)
}

func (w *watch) pause() {
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *watch) resume() {
	if w.timer != nil {
		w.timer.Reset(w.timeout)
	}
}

// awaited is a source for which the watch waits.
type awaited struct {
	r io.Reader
	w *watch
}

func (a *awaited) Read(p []byte) (int, error) {
	a.w.pause()
	defer a.w.resume()
	return a.r.Read(p)
}

// localText is an error about a file of ours, without its name.
func localText(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

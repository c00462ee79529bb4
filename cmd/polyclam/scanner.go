package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"polyclam/backends"
)

// scanner scans single objects. It is safe for concurrent use.
type scanner struct {
	server   *server
	stream   bool // send bytes, not descriptors
	byPath   bool // send paths
	timeout  time.Duration
	stdin    io.Reader
	progress *progress
	stop     context.CancelCauseFunc // ends the walk: no other object can be scanned
}

var errTimeout = errors.New("the server does not answer")

// scan scans one object.
func (s *scanner) scan(ctx context.Context, o object) (oc outcome) {
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
		s.progress.begin(o.name)
		s.sendStream(ctx, &oc, s.stdin)
		return oc
	case s.byPath:
		s.progress.begin(o.name)
		s.sendPath(ctx, &oc, o.name)
		return oc
	}
	f, size, err := o.open()
	if err != nil {
		oc.fail(backends.CannotExecute, localText(err))
		return oc
	}
	defer f.Close()
	s.progress.begin(o.name)
	if s.stream {
		s.sendStream(ctx, &oc, f)
		return oc
	}
	oc.Size = size
	s.sendFile(ctx, &oc, f)
	return oc
}

// sendFile passes the open file to the server.
func (s *scanner) sendFile(ctx context.Context, oc *outcome, f *os.File) {
	d := s.startDeadline(ctx)
	defer d.end()
	if s.server.extended {
		reply, err := s.server.client.XFildes(d.ctx, f)
		oc.readReply(reply, s.checkGone(err))
		return
	}
	reply, err := s.server.client.Fildes(d.ctx, f)
	oc.readPlainReply(reply, s.checkGone(err))
}

// sendPath sends the absolute path.
func (s *scanner) sendPath(ctx context.Context, oc *outcome, name string) {
	path, err := filepath.Abs(name)
	if err != nil {
		oc.fail(backends.CannotExecute, localText(err))
		return
	}
	d := s.startDeadline(ctx)
	defer d.end()
	if s.server.extended {
		reply, err := s.server.client.XScan(d.ctx, path)
		oc.readReply(reply, s.checkGone(err))
		return
	}
	reply, err := s.server.client.Scan(d.ctx, path)
	oc.readPlainReply(reply, s.checkGone(err))
}

// sendStream sends the bytes. The timeout starts again after each read and does not run
// during one: a slow source is not the server's fault.
func (s *scanner) sendStream(ctx context.Context, oc *outcome, r io.Reader) {
	d := s.startDeadline(ctx)
	defer d.end()
	c := &countingReader{r: &pausingReader{r, d}, progress: s.progress}
	if s.server.extended {
		reply, err := s.server.client.XInstream(d.ctx, c)
		oc.readReply(reply, s.checkGone(err))
	} else {
		reply, err := s.server.client.Instream(d.ctx, c)
		oc.readPlainReply(reply, s.checkGone(err))
	}
	oc.Size = c.n
}

// checkGone ends the walk if err means that nothing listens at the server's address: the
// next object would fail in the same way.
func (s *scanner) checkGone(err error) error {
	if isGone(err) {
		err = fmt.Errorf("%w from %s: %w", errGone, s.server, plainError(err))
		s.stop(err)
	}
	return err
}

// deadline is a timeout that can be paused.
type deadline struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	timeout time.Duration
	timer   *time.Timer // nil: no limit
}

func (s *scanner) startDeadline(ctx context.Context) *deadline {
	d := &deadline{timeout: s.timeout}
	d.ctx, d.cancel = context.WithCancelCause(ctx)
	if s.timeout > 0 {
		d.timer = time.AfterFunc(s.timeout, func() { d.cancel(fmt.Errorf("%w within %v (--timeout)", errTimeout, s.timeout)) })
	}
	return d
}

func (d *deadline) end() {
	d.pause()
	d.cancel(nil)
}

func (d *deadline) pause() {
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (d *deadline) resume() {
	if d.timer != nil {
		d.timer.Reset(d.timeout)
	}
}

// pausingReader pauses the deadline during each read.
type pausingReader struct {
	r        io.Reader
	deadline *deadline
}

func (p *pausingReader) Read(b []byte) (int, error) {
	p.deadline.pause()
	defer p.deadline.resume()
	return p.r.Read(b)
}

// countingReader counts the bytes that are read and reports them to progress.
type countingReader struct {
	r        io.Reader
	n        int64
	progress *progress
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.progress.read(n)
	return n, err
}

// localText is the text of an error about a local file, without the file's name.
func localText(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

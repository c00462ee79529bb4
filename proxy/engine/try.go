package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/spool"
)

// try scans a small test object on n, in a slot like any other object. If the answer takes
// too long, watched, if not nil, is marked as late.
func (p *pool) try(ctx context.Context, n *node, name string, data []byte, watched *health.Check) (backends.Result, error) {
	return p.tryObject(ctx, n, name, io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), false, watched)
}

// tryObject is try for an object of any size. If patient, it queues after the scans that
// are already waiting.
func (p *pool) tryObject(ctx context.Context, n *node, name string, data *io.SectionReader, patient bool, watched *health.Check) (backends.Result, error) {
	var o *spool.Object
	err := p.protect(n, func() (err error) {
		o, err = newTestObject(p.config().Spool, data)
		return err
	})
	if err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file (%s): %w", name, err)}
	}
	defer o.Release()
	t := newTicket()
	t.Only, t.Patient = n, patient
	if _, err := p.acquire(ctx, t); err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file (%s): %w", name, err)}
	}
	if watched != nil {
		defer p.watchCheck(n, watched, name)()
	}
	r, err := p.ask(ctx, &question{node: n, object: o, isTest: true, grant: t.grant})
	if err != nil {
		// Where no conversation starts, no matter which object it is about.
		if name != nameClean || !errors.As(err, new(*backends.ConnError)) {
			err = fmt.Errorf("test file (%s): %w", name, err)
		}
		if p.life.Err() != nil {
			err = inconclusive{err}
		}
	}
	return r, err
}

// largestInMemory is the size above which a test object is written to a file.
const largestInMemory = 64 << 10

func newTestObject(s *spool.Spool, data *io.SectionReader) (*spool.Object, error) {
	if data.Size() > largestInMemory {
		return s.Make(func(f *os.File) error { return testfile.WriteSparse(f, data) })
	}
	b, err := io.ReadAll(data)
	if err != nil {
		return nil, err
	}
	return s.Bytes(b), nil
}

// Bounds on the time for one test object before its node counts as hung.
const (
	checkMin   = time.Second
	checkTimes = 20 // times as long as such objects usually take
	checkMax   = 5 * time.Second
)

// checkTime is how long n may take for a test object. It is short if another node can take
// the scans, or if n gets none anyway: then mistaking a busy node for a hung one costs
// little. The last node in use gets half of a scan's time.
func (p *pool) checkTime(n *node) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	half := p.config().Timeout / 2
	usual, _ := n.times[0].Usual()
	if s := n.health.State(); s == health.Down || s == health.Blind {
		return min(half, max(checkMin, min(checkMax, p.config().CanaryInterval), checkTimes*usual))
	}
	for _, other := range p.nodes {
		if other != n && p.usable(other) {
			return min(half, max(checkMin, checkTimes*usual))
		}
	}
	return half
}

// watchCheck marks check as late if n does not answer a test object in time, until stop is
// called.
func (p *pool) watchCheck(n *node, check *health.Check, name string) (stop func()) {
	asked, limit := time.Now(), p.checkTime(n)
	var timer *time.Timer
	timer = time.AfterFunc(limit, func() {
		if p.presumeHung(n, check, name, asked) {
			return
		}
		asked = time.Now()
		timer.Reset(limit)
	})
	return func() { timer.Stop() }
}

// presumeHung takes n out because it has not answered the test object sent at the given
// time, and schedules another check after a pause. Until then the late check goes on: if
// the answer does arrive, n is back immediately. A node that loads signatures is checked
// again too, but not taken out.
//
// It reports false if n has answered a scan in the meantime, and so may only be slow.
func (p *pool) presumeHung(n *node, check *health.Check, name string, asked time.Time) bool {
	p.mu.Lock()
	if n.health.LastAnswer().After(asked) {
		p.mu.Unlock()
		return false
	}
	var t *transition
	if n.health.Late(check) {
		p.backOff(n)
		p.wakeRun()
		if !n.reloading && n.health.Serving() {
			reason := &backends.Failure{
				Category: backends.Interrupted, Code: backends.NoCode,
				Text: fmt.Sprintf("test file (%s): no answer within %v, the engine hangs (key timeout)", name, time.Since(asked).Round(time.Millisecond)),
			}
			if name == nameEICAR {
				reason.Text += blockedText
			}
			p.failWaiters(n, reason)
			t = p.setState(n, health.Down, reason)
		}
	}
	p.mu.Unlock()
	p.logTransition(t)
	return true
}

package engine

import (
	"bytes"
	"context"
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
// too long, watched is late; nil: it may take its time.
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
		err = fmt.Errorf("test file (%s): %w", name, err)
		if p.life.Err() != nil {
			err = inconclusive{err}
		}
	}
	return r, err
}

// largestInMemory is the most memory that a test object may take.
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

// The bounds of the time that a node has for one test object before it counts as hung.
const (
	checkMin   = time.Second
	checkTimes = 20 // as long as such objects usually take
	checkMax   = 5 * time.Second
)

// checkTime is how long n has for a test object. If another node can take the scans, or n
// gets none anyway, little is lost if n is taken for hung although it is only busy. The
// last node in use gets half of a scan's time.
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

// watchCheck marks check as late if n does not answer a test object in time. The function
// that it returns ends that.
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

// presumeHung takes n out because it has not answered the test object that it was asked at
// the given time, and makes another check due after a pause. The late check goes on until
// then: if the answer comes after all, n is back immediately. A node that loads signatures
// may take its time, but is checked again as well.
//
// It reports false if n has answered a scan meanwhile: then it may only be slow.
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
			p.failWaiters(n, reason)
			t = p.setState(n, health.Down, reason)
		}
	}
	p.mu.Unlock()
	p.logTransition(t)
	return true
}

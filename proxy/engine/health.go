package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// Canary is what a node said of the test objects, the last time it was asked.
type Canary struct {
	Time time.Time `json:"time,omitzero"` // when the answers were there; zero: never asked
	// Clean is the category of the clean control. A node is up only if it is ok.
	Clean backends.Category `json:"clean,omitempty"`
	// EICAR is the category of the EICAR test file, and Name what the engine
	// called it. A node is up only if it is virus or suspicious. Empty: not asked,
	// because the clean control was bad already.
	EICAR backends.Category `json:"eicar,omitempty"`
	Name  string            `json:"name,omitempty"`
	// Encrypted is the category of a small encrypted archive: encrypted if the
	// engine reports that. It is for information; empty: not asked.
	Encrypted backends.Category `json:"encrypted,omitempty"`
	Error     string            `json:"error,omitempty"` // why a test object was not scanned
}

// infoTime bounds what is asked for information only, so that a node that hangs
// there is used all the same.
const infoTime = 5 * time.Second

// A proof is what a health check found out.
type proof struct {
	state  state // up, down or blind
	reason error // why it is not up
	alarm  bool  // blind because it calls a harmless text a virus
	canary Canary

	learned         bool // heuristicsFirst is known
	refused         bool // it is not, since the engine says itself that it failed
	heuristicsFirst bool // the node stops at the first heuristic finding
}

// check runs one health check of n and draws the conclusions.
func (u *pool) check(ctx context.Context, n *node, c *healthCheck) {
	p := u.prove(ctx, n, c)
	if !u.conclude(n, c, p) || p.state != up || u.isRetired(n) {
		return
	}
	if v, ok := u.version(u.life, n); ok {
		u.compareVersion(n, v.Text)
	}
	u.checkSize(n)
}

// limited bounds one scan by Config.Timeout.
func limited(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, &backends.TimeoutError{After: timeout, Key: "timeout"})
}

// prove asks n for the test objects, one after the other and the clean control
// first: a node that asks polyclam itself never gets to EICAR.
func (u *pool) prove(ctx context.Context, n *node, c *healthCheck) proof {
	nonce := testfile.NewNonce()
	ownNonces.add(nonce, u, n)
	r, err := u.try(ctx, n, "clean text", testfile.Clean(nonce), c)
	p := proof{canary: Canary{Time: time.Now(), Clean: categoryOf(r, err)}}
	switch {
	case u.looped(n):
		return p.blind("asks polyclam itself") // conclude knows through what
	case err != nil:
		return p.failed(err)
	case detected(r):
		p.alarm = true
		return p.blind("calls a harmless text a virus" + colonName(r))
	case r.Category != backends.OK:
		return p.blind("does not scan a harmless text, and says " + string(r.Category) + colonName(r))
	}
	r, err = u.try(ctx, n, "EICAR", testfile.EICAR(), c)
	p.canary.Time, p.canary.EICAR, p.canary.Name = time.Now(), categoryOf(r, err), firstName(r)
	switch {
	case detected(r): // a failure beside it changes nothing: it can detect
	case err != nil:
		return p.failed(blocked(err))
	default:
		return p.blind("does not find the EICAR test file")
	}
	p.state = up
	u.learn(ctx, n, &p)
	return p
}

// looped reports whether the clean control came back, whatever n made of that.
func (u *pool) looped(n *node) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return n.loop != nil
}

// blocked is the error of EICAR after the clean text was scanned. The engine's own
// word is left alone; anything else may be due to what lies on the way.
func blocked(err error) error {
	var failure *backends.Failure
	if _, nothing := err.(inconclusive); nothing || errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("%w; the clean text was scanned, so something on the way may block EICAR (canary = false switches the check off)", err)
}

func (p proof) failed(err error) proof {
	p.state, p.reason, p.canary.Error = down, err, bounded(err.Error())
	return p
}

func (p proof) blind(text string) proof {
	p.state, p.reason = blind, distrust(text)
	return p
}

// distrust is why a node is not used although it answers.
func distrust(text string) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: text}
}

func categoryOf(r backends.Result, err error) backends.Category {
	if err != nil && !detected(r) {
		return backends.CategoryOf(err)
	}
	return r.Category
}

func firstName(r backends.Result) string {
	for _, f := range r.Findings {
		if f.Name != "" {
			return bounded(f.Name)
		}
	}
	return ""
}

func colonName(r backends.Result) string {
	if name := firstName(r); name != "" {
		return ": " + name
	}
	return ""
}

// inconclusive is the error of a test object that was never put to its node.
type inconclusive struct{ error }

func (e inconclusive) Unwrap() error { return e.error }

// try scans data on n, in a slot of n's own like any other content. If it takes too
// long, watched is late; nil: it may take its time.
func (u *pool) try(ctx context.Context, n *node, name string, data []byte, watched *healthCheck) (backends.Result, error) {
	return u.tryObject(ctx, n, name, io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), false, watched)
}

// tryObject is try for an object of any size; patient means that it queues after the
// scans that wait already.
func (u *pool) tryObject(ctx context.Context, n *node, name string, data *io.SectionReader, patient bool, watched *healthCheck) (backends.Result, error) {
	o, release, err := u.spool(n, data)
	if err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file (%s): %w", name, err)}
	}
	if _, keeps := o.(retainer); keeps {
		defer release() // as it is, so that the backend sees what it sees of a mail
	} else {
		kept := &shared{Object: o, release: release}
		kept.Retain()
		defer kept.Release()
		o = kept
	}
	t := newTicket()
	t.only, t.patient = n, patient
	if _, err := u.acquire(ctx, t); err != nil {
		return backends.Result{}, inconclusive{fmt.Errorf("test file (%s): %w", name, err)}
	}
	if watched != nil {
		defer u.watchCheck(n, watched, name)()
	}
	r, err := u.ask(ctx, &question{node: n, object: o, canary: true, grant: t.grant})
	if err != nil {
		err = fmt.Errorf("test file (%s): %w", name, err)
		if u.life.Err() != nil {
			err = inconclusive{err}
		}
	}
	return r, err
}

// spool makes a test object; a panic of Config.Spool is an error too.
func (u *pool) spool(n *node, data *io.SectionReader) (o backends.Object, release func(), err error) {
	err = u.protect(n, func() (err error) {
		o, release, err = u.config().Spool(data)
		return err
	})
	return o, release, err
}

// conclude makes the state of n what its health check found. A scan that waited for
// this check, because it has no usable node, need not wait any more. It reports false if
// the check does not count: another one has begun, or none is wanted any more.
func (u *pool) conclude(n *node, check *healthCheck, p proof) bool {
	u.mu.Lock()
	if n.check != check {
		u.mu.Unlock()
		return false
	}
	n.check, n.suspected = nil, false
	if !u.config().Canary { // since a reload of the configuration
		u.mu.Unlock()
		return false
	}
	if _, nothing := p.reason.(inconclusive); nothing && n.loop == nil {
		n.due = time.Now().Add(firstPause)
		if n.state == unknown {
			n.reason = p.reason
		}
		u.disappoint(n, p.reason)
		u.rouse()
		u.dispatchAll()
		u.mu.Unlock()
		return true
	}
	n.canary = p.canary
	switch {
	case n.loop != nil:
		p.state, p.reason = blind, n.loop
	case p.alarm:
		n.doubt.alarms++ // what it finds is worth nothing either
	case p.state == blind:
		n.doubt.lapses++
	case p.state == down && n.state == blind:
		p.state = blind // it answers nothing now, and nothing useful before
	}
	if p.state == blind && n.loop == nil && p.canary.Error == "" {
		n.distrust = p.reason
	}
	before := n.heuristics
	if p.state == up {
		n.proven = check.began
		n.heuristics.learned(p, n.state != up)
		if n.state != up {
			u.doubtSize(n)
		}
	}
	now := n.heuristics
	if p.state != up {
		u.backOff(n)
		u.disappoint(n, p.reason)
	}
	c := u.set(n, p.state, p.reason)
	if p.state == up {
		u.askSooner(n)
	}
	u.mu.Unlock()
	u.tell(c)
	if !u.isRetired(n) {
		u.logHeuristics(n, before, now)
	}
	return true
}

// disappoint takes n from the hopes of all who have no usable node.
func (u *pool) disappoint(n *node, reason error) {
	if n.retired {
		return
	}
	for _, first := range u.queue.heads() {
		if first.only != nil || u.anyUsable(first) || slices.Contains(first.tried, n) {
			continue
		}
		for _, t := range u.queue.alike(first) {
			u.queue.exclude(t, n)
			t.last, t.err = n, reason
		}
	}
}

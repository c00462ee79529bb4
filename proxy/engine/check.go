package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
)

// check runs one health check of n and applies the result.
func (p *pool) check(ctx context.Context, n *node, c *health.Check) {
	found := p.runHealthCheck(ctx, n, c)
	if found.state == health.Up {
		p.learnAge(n)
	}
	if !p.applyProof(n, c, found) || p.isRetired(n) {
		return
	}
	p.forgetAnswers(n)
	if v, ok := p.version(p.life, n); ok {
		p.compareVersion(n, v.Text)
	}
	p.confirm(n, c, found)
	p.checkSuspended(n)
	p.checkSize(n)
}

// runHealthCheck sends n the test objects, one after another. The clean control comes
// first, so that a node that leads back to polyclam never gets EICAR.
func (p *pool) runHealthCheck(ctx context.Context, n *node, c *health.Check) proof {
	nonce := testfile.NewNonce()
	ownNonces.add(nonce, n, func(listener string) { p.takeOutLooping(n, listener) })
	r, err := p.try(ctx, n, nameClean, testfile.Clean(nonce), c)
	found := proof{canary: Canary{Time: time.Now(), Clean: categoryOf(r, err)}}
	switch {
	case p.looped(n):
		return found.blind("asks polyclam itself") // takeOutLooping has the full reason
	case err != nil:
		return found.failed(err)
	case detected(r):
		found.alarm = true
		return found.blind("calls a harmless text a virus" + colonName(r))
	case r.Category != backends.OK:
		return found.blind("calls a harmless text " + string(r.Category) + colonName(r))
	}
	r, err = p.try(ctx, n, nameEICAR, testfile.EICAR(), c)
	found.canary.Time, found.canary.EICAR, found.canary.Name = time.Now(), categoryOf(r, err), firstName(r)
	switch {
	case detected(r): // even with an error: the engine detects
	case err != nil:
		return found.failed(blocked(err))
	default:
		return found.blind("does not find the EICAR test file")
	}
	found.state = health.Up
	p.tryMail(ctx, n, nonce, c, &found)
	if found.state != health.Up {
		return found
	}
	p.learn(ctx, n, &found)
	p.explainMail(ctx, n, &found)
	return found
}

// blocked explains an error for EICAR after the clean text was scanned: something between
// polyclam and the engine may block it. It leaves the engine's own errors alone.
func blocked(err error) error {
	if isInconclusive(err) || errors.As(err, new(*backends.Failure)) {
		return err
	}
	return fmt.Errorf("%w%s", err, blockedText)
}

const (
	nameClean   = "clean text"
	nameEICAR   = "EICAR"
	blockedText = "; the clean text was scanned, so something on the way may block EICAR (canary = false switches the check off)"
)

// applyProof sets the state of n to what its health check found. Scans that have no usable
// node and waited for this check stop waiting. It reports whether n is up. The check does
// not count if another one has begun, or checks have been switched off.
func (p *pool) applyProof(n *node, check *health.Check, found proof) (up bool) {
	p.mu.Lock()
	if !n.health.EndCheck(check) || !p.config().Canary { // a reload may have switched it off
		p.mu.Unlock()
		return false
	}
	if isInconclusive(found.reason) && !n.health.Looped() {
		n.health.Postpone(found.reason)
		p.failWaiters(n, found.reason)
		p.wakeRun()
		p.dispatchAll()
		p.mu.Unlock()
		return false
	}
	n.canary = found.canary
	wasUp, before, mailBefore := n.health.State() == health.Up, n.heuristics, n.mail
	found = n.mail.update(found)
	state, reason := n.health.Conclude(check, found.outcome())
	if state == health.Up {
		n.heuristics.update(found, !wasUp)
		if !wasUp {
			p.markUnproven(n)
		}
	} else {
		p.backOff(n)
		p.failWaiters(n, reason)
	}
	now, mailNow := n.heuristics, n.mail
	t := p.setState(n, state, reason)
	if state == health.Up {
		p.askSooner(n)
	}
	p.mu.Unlock()
	p.logTransition(t)
	if !p.isRetired(n) {
		p.logHeuristics(n, before, now)
		p.logMail(n, mailBefore, mailNow)
	}
	return state == health.Up
}

// takeOutLooping takes out n, whose clean control came back through a listener, until that
// of a later check does not.
func (p *pool) takeOutLooping(n *node, listener string) {
	p.mu.Lock()
	if !p.config().Canary { // since a reload: no later check would end it
		p.mu.Unlock()
		return
	}
	reason := untrusted("asks polyclam itself, through the listener " + listener)
	n.health.Loop(reason)
	p.backOff(n)
	p.failWaiters(n, reason)
	t := p.setState(n, health.Blind, reason)
	p.mu.Unlock()
	p.logTransition(t)
}

// looped reports whether the clean control of the check under way came back.
func (p *pool) looped(n *node) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return n.health.Looped()
}

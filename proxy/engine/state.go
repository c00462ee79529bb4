package engine

import (
	"time"

	"polyclam/proxy/engine/internal/health"
)

// transition is a change of a node's state to be logged.
type transition struct {
	*health.Change
	node *node
}

// setState changes the state of n and re-examines all queued tickets. It returns the
// transition to log after mu is released, or nil. The caller holds mu.
func (p *pool) setState(n *node, s health.State, reason error) *transition {
	switch before := n.health.State(); {
	case s != health.Up:
		n.dropWaiting()
	case before == health.Down || before == health.Blind:
		n.changedUntil(time.Now()) // the engine may have been restarted
	}
	c := n.health.Set(s, reason, p.config().CanaryInterval)
	if s != health.Up {
		p.handOverLost(n)
	}
	if n.health.Retired() {
		return nil
	}
	p.wakeRun()
	p.dispatchAll()
	if c == nil {
		return nil
	}
	return &transition{c, n}
}

// logTransition logs a node going down or up as a warning, and the first success as info.
func (p *pool) logTransition(t *transition) {
	if t == nil {
		return
	}
	address := bounded(t.node.address)
	switch {
	case t.To != health.Up:
		p.log.Warn().Str("node", address).Str("reason", t.node.reasonText(t.Reason)).Msg("node down")
	case t.From == health.Unknown:
		p.log.Info().Str("node", address).Msg("node up")
	default:
		p.log.Warn().Str("node", address).Msg("node up")
	}
}

// markDown takes n out after a scan failed there. A health check follows immediately or, if
// there are none, a trial scan after a pause. The caller holds mu.
func (p *pool) markDown(n *node, reason error) *transition {
	if !n.health.Serving() {
		return nil // a blind node stays blind until a check succeeds
	}
	n.health.CheckNow()
	if !p.config().Canary && !p.closing {
		p.backOff(n)
		n.stopRetryTimer()
		n.retryTimer = time.AfterFunc(n.health.Pause(), func() { p.endPause(n) })
	}
	return p.setState(n, health.Down, reason)
}

// endPause lets one scan try n, for engines without health checks.
func (p *pool) endPause(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.health.State() == health.Down && !p.closing && !n.health.Retired() {
		n.health.Try()
		p.wakeRun()
		p.dispatchAll()
	}
}

func (p *pool) backOff(n *node) { n.health.BackOff(p.config().CanaryInterval) }

// checkSoon asks for a health check before the regular one. The caller holds mu.
func (p *pool) checkSoon(n *node) {
	if n.health.CheckSoon() {
		p.wakeRun()
	}
}

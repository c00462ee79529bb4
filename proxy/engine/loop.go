package engine

import "polyclam/proxy/engine/internal/health"

// takeOutLooping makes n unusable, since its clean control came back through a listener,
// until that of a later check does not.
func (p *pool) takeOutLooping(n *node, listener string) {
	p.mu.Lock()
	if !p.config().Canary { // since a reload: no later check would end it
		p.mu.Unlock()
		return
	}
	reason := distrust("asks polyclam itself, through the listener " + listener)
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

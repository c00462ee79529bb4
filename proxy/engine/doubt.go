package engine

import (
	"time"

	"polyclam/proxy/testfile"
)

// largestProbe is the largest object that is sent to find out whether it is scanned: clamd
// 1.4.6 scans nothing from 2 GiB - 2 on, whatever its limits.
const largestProbe = 1<<31 - 3

// largest is the size of the largest object that is sent, as far as it can be tried.
func (p *pool) largest() int64 {
	size := int64(largestProbe)
	switch {
	case p.config().MaxSize > 0:
		size = min(size, p.config().MaxSize)
	case p.config().MaxStream > 0:
		size = min(size, p.config().MaxStream)
	}
	return size
}

// checksSize reports whether health checks include large objects.
func (p *pool) checksSize() bool {
	return p.config().SizeCheck && p.config().Canary && p.largest() >= testfile.LargeMin
}

// doubtSize renews the size check of a node that was not up: it may be another engine now.
// Until it is proven what n scans, but no longer than sizeWait, an ok for a large object is
// partial. The caller holds mu.
func (p *pool) doubtSize(n *node) {
	if !p.checksSize() || p.closing || n.health.Retired() {
		return
	}
	n.size.renew()
	n.size.unproven, n.size.trusted = true, 0
	n.size.stopTimer()
	n.size.timer = time.AfterFunc(sizeWait, func() { p.stopDoubt(n) })
}

// doubtLarger is doubtSize for a node that was up all the time, after a reload changed the
// size of the largest object. The caller holds mu.
func (p *pool) doubtLarger(n *node, grown bool) {
	if !grown {
		n.size.renew()
		return
	}
	trusted := n.size.scanned
	p.doubtSize(n)
	n.size.trusted = trusted
}

// stopDoubt stops waiting for a proof, unless n is proven not to scan everything.
func (p *pool) stopDoubt(n *node) {
	p.mu.Lock()
	stops := n.size.unproven && !n.size.caught && !n.health.Retired()
	if stops {
		n.size.unproven = false
	}
	p.mu.Unlock()
	if stops {
		p.log.Warn().Str("node", bounded(n.address)).Int64("max_size", p.largest()).
			Str("reason", "no answer to the test archives: the engine's ok for large objects counts, although it is not proven that it scans them").
			Msg("size check")
	}
}

// catch records that n calls its largest object ok without a look. Until its limit is
// found, its ok for large objects does not count, however long that takes.
func (p *pool) catch(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.size.caught, n.size.unproven = true, true
}

package engine

import (
	"fmt"
	"math"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
	"polyclam/proxy/engine/internal/health"
)

// sizeSlot limits size checks to one at a time in the whole process, to save memory and load.
var sizeSlot = make(chan struct{}, 1)

// checkSize finds out whether n scans objects as large as those sent to it. Many engines
// have a limit of their own and call anything larger ok without scanning it: clamd above
// MaxFileSize, unless AlertExceedsMax is on. In the background, n gets an archive with
// EICAR in it: once after anything that may have changed its limits, and otherwise rarely.
// A node that failed the check is asked again with each health check, so that a fix is
// noticed.
func (p *pool) checkSize(n *node) {
	if !p.checksSize() {
		return
	}
	p.mu.Lock()
	if n.size.done && time.Since(n.size.asked) >= sizeEvery*p.config().CanaryInterval {
		n.size.renew()
	}
	if n.size.running || n.size.done && n.size.limit == 0 {
		p.mu.Unlock()
		return
	}
	n.size.running = true
	p.mu.Unlock()
	for p.proveSizeOnce(n) {
	}
	p.mu.Lock()
	n.size.running = false
	p.mu.Unlock()
}

// proveSizeOnce asks n and stores the answer. It reports whether to ask again because the
// answer is already outdated.
func (p *pool) proveSizeOnce(n *node) (again bool) {
	select {
	case sizeSlot <- struct{}{}:
	case <-p.life.Done():
		return false
	}
	p.mu.Lock()
	known, age := n.size.sizeProof, n.size.age
	p.mu.Unlock()
	next := p.proveSize(n, p.largest(), known)
	<-sizeSlot
	p.mu.Lock()
	n.size.caught = false
	if n.size.age != age { // if n is not up, it is asked when it is up again
		again = n.health.State() == health.Up && !n.health.Retired() && p.checksSize() && p.life.Err() == nil
		p.mu.Unlock()
		return again
	}
	n.size.sizeProof = next
	if !known.done {
		n.size.asked = time.Now()
	}
	if next.done && next.tries < sizeTries {
		n.size.unproven = false
		n.size.stopTimer()
	}
	p.mu.Unlock()
	if next.tries >= sizeTries {
		p.endUnproven(n)
	}
	p.logSize(n, known, next)
	return false
}

func (p *pool) logSize(n *node, known, next sizeProof) {
	switch {
	case next.limit != 0 && next.limit != known.limit:
		p.log.Warn().Str("node", bounded(n.address)).Int64("max_size", p.largest()).Int64("unscanned_above", next.limit).
			Str("reason", unscannedText).Msg("size check")
	case next.limit == 0 && known.limit != 0:
		p.log.Info().Str("node", bounded(n.address)).Int64("scanned", next.scanned).Msg("size check")
	}
}

// proveSize sends n its largest object and, if the answer is ok, searches for the limit. A
// node that is not known to look into archives gets the smallest one first: if that passes,
// nothing can be proven.
func (p *pool) proveSize(n *node, size int64, known sizeProof) sizeProof {
	small := scanned
	if known.scanned == 0 {
		small = p.scansSize(n, testfile.LargeMin)
	}
	answer := small
	if small == scanned {
		answer = p.scansSize(n, size)
	}
	switch {
	case answer == unanswered:
		return known.unanswered()
	case small != scanned:
		return sizeProof{done: true, limit: known.limit}
	case answer == scanned:
		return sizeProof{done: true, scanned: size}
	case answer == refused:
		return sizeProof{done: true}
	case known.done && known.limit != 0:
		return known // caught before, and nothing happened since
	}
	p.markCaught(n)
	low := int64(testfile.LargeMin)
	if known.scanned != 0 {
		switch p.scansSize(n, low) {
		case passed, refused: // it no longer looks into archives
			return sizeProof{done: true, limit: known.limit}
		}
	}
	if known.scanned > low && known.scanned < size && p.scansSize(n, known.scanned) == scanned {
		low = known.scanned
	}
	low = p.searchSize(n, low, size)
	return sizeProof{done: true, scanned: low, limit: low}
}

// searchSize finds the limit of n: it scans low, but not high.
func (p *pool) searchSize(n *node, low, high int64) int64 {
	for high-low > low/16 {
		middle := int64(math.Sqrt(float64(low) * float64(high)))
		switch p.scansSize(n, middle) {
		case scanned:
			low = middle
		case unanswered:
			high = low // only low is proven
		default:
			high = middle
		}
	}
	return low
}

// sizeAnswer is the answer to an archive of some size with EICAR in it.
type sizeAnswer int

const (
	unanswered sizeAnswer = iota // a failure
	scanned                      // EICAR was found
	refused                      // the engine reports that not everything was scanned
	passed                       // ok, although EICAR is in it
)

func (p *pool) scansSize(n *node, size int64) sizeAnswer {
	data, err := testfile.Large(size)
	if err != nil {
		return unanswered
	}
	ctx, cancel := withTimeout(p.life, p.config().Timeout)
	defer cancel()
	r, err := p.tryObject(ctx, n, fmt.Sprintf("archive of %d bytes", size), data, true, nil)
	switch {
	case detected(r):
		return scanned
	case err != nil:
		return unanswered
	case r.Category == backends.OK:
		return passed
	}
	return refused
}

// largestProbe is the size of the largest test archive: clamd 1.4.6 scans nothing of 2 GiB
// - 2 or more, whatever its limits.
const largestProbe = 1<<31 - 3

// largest is the size of the largest object that is sent, at most largestProbe.
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

// markUnproven renews the size check of a node that was not up: it may be another engine now.
// Until the check has an answer, but no longer than sizeWait, an ok for a large object counts
// as partial. The caller holds mu.
func (p *pool) markUnproven(n *node) {
	if !p.checksSize() || p.closing || n.health.Retired() {
		return
	}
	n.size.renew()
	n.size.unproven, n.size.trusted = true, 0
	n.size.stopTimer()
	n.size.timer = time.AfterFunc(sizeWait, func() { p.endUnproven(n) })
}

// markLargerUnproven is markUnproven for a node that stayed up while a reload changed the
// size of the largest object. The caller holds mu.
func (p *pool) markLargerUnproven(n *node, grown bool) {
	if !grown {
		n.size.renew()
		return
	}
	trusted := n.size.scanned
	p.markUnproven(n)
	n.size.trusted = trusted
}

// endUnproven stops waiting for a proof, unless n is known not to scan everything.
func (p *pool) endUnproven(n *node) {
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

// markCaught records that n calls its largest object ok without scanning it. Until its
// limit is found, however long that takes, its ok for large objects does not count.
func (p *pool) markCaught(n *node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n.size.caught, n.size.unproven = true, true
}

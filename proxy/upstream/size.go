package upstream

import (
	"fmt"
	"math"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

// largestProbe is the most that is sent to find out whether it is scanned: clamd
// 1.4.6 scans nothing from 2 GiB - 2 on, whatever its limits.
const largestProbe = 1<<31 - 3

// sizeTries is how often a node without an answer is asked again.
const sizeTries = 3

// sizeProof is what is known of the sizes that a node scans.
type sizeProof struct {
	done    bool  // asked, or it makes no sense to ask
	tries   int   // without an answer
	scanned int64 // an object of this size is scanned; 0: not known
	// limit is what is scanned at most where larger objects are called ok without
	// a look; 0: no such limit is known.
	limit int64
}

// sizeSlot lets one node of the process at a time be asked, for the sake of memory
// and engines.
var sizeSlot = make(chan struct{}, 1)

// checkSize finds out whether n scans objects as large as it is sent. Many engines
// call what is over a limit of their own ok without a look: clamd over MaxFileSize,
// unless AlertExceedsMax is on. It is asked once, in the background, with an archive
// that has EICAR in it; a node that was caught is asked again with each health
// check, so that mending it shows.
func (u *Upstream) checkSize(n *node) {
	size := u.largest()
	if !u.cfg.SizeCheck || size < testfile.LargeMin {
		return
	}
	u.mu.Lock()
	known := n.size
	if n.sizing || known.done && known.limit == 0 {
		u.mu.Unlock()
		return
	}
	n.sizing = true
	u.mu.Unlock()
	next := known
	defer func() {
		u.mu.Lock()
		n.sizing, n.size = false, next
		u.mu.Unlock()
	}()
	select {
	case sizeSlot <- struct{}{}:
	case <-u.life.Done():
		return
	}
	next = u.proveSize(n, size, known)
	<-sizeSlot
	switch {
	case next.limit != 0 && next.limit != known.limit:
		u.log.Warn().Str("node", bounded(n.address)).Int64("max_size", size).Int64("unscanned_above", next.limit).
			Str("reason", unscannedText).Msg("size check")
	case next.limit == 0 && known.limit != 0:
		u.log.Info().Str("node", bounded(n.address)).Int64("scanned", next.scanned).Msg("size check")
	}
}

const unscannedText = "the engine calls larger objects ok without a look, they count as partial: " +
	"raise its own limits (clamd.conf: MaxFileSize, MaxScanSize, MaxScanTime, or AlertExceedsMax yes) or lower max_size here"

// largest is the size of the largest object that is sent, as far as it can be tried.
func (u *Upstream) largest() int64 {
	size := int64(largestProbe)
	switch {
	case u.cfg.MaxSize > 0:
		size = min(size, u.cfg.MaxSize)
	case u.cfg.MaxStream > 0:
		size = min(size, u.cfg.MaxStream)
	}
	return size
}

// proveSize asks n for its smallest and its largest object, and if the largest is
// called ok, for the limit between them.
func (u *Upstream) proveSize(n *node, size int64, known sizeProof) sizeProof {
	answer := scanned
	if known.limit == 0 {
		answer = u.scansSize(n, testfile.LargeMin)
		if answer == passed || answer == refused {
			return sizeProof{done: true} // it does not look into archives: nothing can be proven
		}
	}
	if answer == scanned {
		answer = u.scansSize(n, size)
	}
	switch answer {
	case scanned:
		return sizeProof{done: true, scanned: size}
	case refused:
		return sizeProof{done: true}
	case unanswered:
		known.tries++
		known.done = known.tries >= sizeTries || known.limit != 0
		return known
	}
	if known.limit != 0 {
		return known
	}
	low, high := int64(testfile.LargeMin), size
	for high-low > low/16 {
		middle := int64(math.Sqrt(float64(low) * float64(high)))
		switch u.scansSize(n, middle) {
		case scanned:
			low = middle
		case unanswered:
			high = low // keep to what is proven
		default:
			high = middle
		}
	}
	return sizeProof{done: true, scanned: low, limit: low}
}

// The answers to an object of some size that has EICAR in it.
type sizeAnswer int

const (
	unanswered sizeAnswer = iota // a failure
	scanned                      // EICAR was found
	refused                      // it is said that not all was scanned
	passed                       // ok, without a look
)

func (u *Upstream) scansSize(n *node, size int64) sizeAnswer {
	data, err := testfile.Large(size)
	if err != nil {
		return unanswered
	}
	ctx, cancel := u.limited(u.life)
	defer cancel()
	r, err := u.tryContent(ctx, n, fmt.Sprintf("archive of %d bytes", size), data, true)
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

// adjusted is the result of a scan, seen with what is known of the node: one that
// stops at the first heuristic has not seen the rest, and one that does not scan
// large objects has not seen them. The caller has mu.
func (n *node) adjusted(r backends.Result, size int64) backends.Result {
	if n.heuristicsFirst {
		r = suspected(r)
	}
	if limit := n.size.limit; limit != 0 && size > limit && r.Category == backends.OK {
		return backends.Result{
			Category: backends.Partial,
			Code:     r.Code,
			Findings: []backends.Finding{{Name: "Heuristics.Limits.Exceeded.MaxSize", Category: backends.Partial}},
			Detail:   fmt.Sprintf("%d bytes: above %d bytes %s", size, limit, unscannedText),
		}
	}
	return r
}

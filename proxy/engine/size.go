package engine

import (
	"fmt"
	"math"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// largestProbe is the most that is sent to find out whether it is scanned: clamd
// 1.4.6 scans nothing from 2 GiB - 2 on, whatever its limits.
const largestProbe = 1<<31 - 3

// sizeTries is how often a node without an answer is asked again.
const sizeTries = 3

// sizeEvery is after how many canary intervals a node is asked again although nothing
// is known to have happened: a restart between two health checks leaves no trace.
const sizeEvery = 12

// sizeWait is how long an ok for a large object counts as partial because it is not
// proven that it was scanned: a node that is too busy to be asked must not turn
// honest mail into errors for long.
const sizeWait = time.Minute

// unprovenMin is the size up to which objects never count as unproven. No engine in
// use has a smaller limit.
const unprovenMin = 1 << 20

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

// checksSize says whether nodes are asked what sizes they scan.
func (u *pool) checksSize() bool {
	return u.config().SizeCheck && u.config().Canary && u.largest() >= testfile.LargeMin
}

// renewSize has n asked again with its next health check: its limits may have
// changed. What is known holds until then. The caller has mu.
func (n *node) renewSize() {
	n.size.done, n.size.tries = false, 0
	n.sizeAge++
}

// doubtSize is renewSize for a node that was not up: it may be another engine now.
// Until it is proven what n scans, but no longer than sizeWait, an ok for a large
// object is partial. The caller has mu.
func (u *pool) doubtSize(n *node) {
	if !u.checksSize() || u.closing || n.retired {
		return
	}
	n.renewSize()
	n.unproven, n.trusted = true, 0
	n.stopSizeTimer()
	n.sizeTimer = time.AfterFunc(sizeWait, func() { u.stopDoubt(n) })
}

// resizeDoubt is doubtSize for a node that was up all the time, after a reload changed
// the size of the largest object. The caller has mu.
func (u *pool) resizeDoubt(n *node, grown bool) {
	if !grown {
		n.renewSize()
		return
	}
	trusted := n.size.scanned
	u.doubtSize(n)
	n.trusted = trusted
}

// forgetSize is for a configuration without checks of the size. The caller has mu.
func (n *node) forgetSize() {
	n.renewSize()
	n.size, n.unproven, n.caught = sizeProof{}, false, false
	n.stopSizeTimer()
}

// stopDoubt gives up waiting for a proof, unless n is proven not to scan all.
func (u *pool) stopDoubt(n *node) {
	u.mu.Lock()
	stops := n.unproven && !n.caught && !n.retired
	if stops {
		n.unproven = false
	}
	u.mu.Unlock()
	if stops {
		u.log.Warn().Str("node", bounded(n.address)).Int64("max_size", u.largest()).
			Str("reason", "no answer to the test archives: its ok for large objects counts, although it is not proven that it scans them").
			Msg("size check")
	}
}

func (n *node) stopSizeTimer() {
	if n.sizeTimer != nil {
		n.sizeTimer.Stop()
		n.sizeTimer = nil
	}
}

// checkSize finds out whether n scans objects as large as it is sent. Many engines
// call what is over a limit of their own ok without a look: clamd over MaxFileSize,
// unless AlertExceedsMax is on. It is asked in the background, with an archive that
// has EICAR in it: once, when something happened that may have changed its limits, and
// rarely without that. A node that was caught is asked again with each health check, so that
// mending it shows.
func (u *pool) checkSize(n *node) {
	if !u.checksSize() {
		return
	}
	u.mu.Lock()
	if n.size.done && time.Since(n.sizeAsked) >= sizeEvery*u.config().CanaryInterval {
		n.renewSize()
	}
	if n.sizing || n.size.done && n.size.limit == 0 {
		u.mu.Unlock()
		return
	}
	n.sizing = true
	u.mu.Unlock()
	for u.proveOnce(n) {
	}
	u.mu.Lock()
	n.sizing = false
	u.mu.Unlock()
}

// proveOnce asks n and notes the answer. It reports whether to ask again, because
// what happened meanwhile made the answer worthless.
func (u *pool) proveOnce(n *node) (again bool) {
	select {
	case sizeSlot <- struct{}{}:
	case <-u.life.Done():
		return false
	}
	u.mu.Lock()
	known, age := n.size, n.sizeAge
	u.mu.Unlock()
	next := u.proveSize(n, u.largest(), known)
	<-sizeSlot
	u.mu.Lock()
	n.caught = false
	if n.sizeAge != age {
		again = n.state == up && !n.retired && u.checksSize() && u.life.Err() == nil // else it is asked when it is up again
		u.mu.Unlock()
		return again
	}
	n.size = next
	if !known.done {
		n.sizeAsked = time.Now()
	}
	if next.done && next.tries < sizeTries {
		n.unproven = false
		n.stopSizeTimer()
	}
	u.mu.Unlock()
	if next.tries >= sizeTries {
		u.stopDoubt(n)
	}
	u.logSize(n, known, next)
	return false
}

func (u *pool) logSize(n *node, known, next sizeProof) {
	switch {
	case next.limit != 0 && next.limit != known.limit:
		u.log.Warn().Str("node", bounded(n.address)).Int64("max_size", u.largest()).Int64("unscanned_above", next.limit).
			Str("reason", unscannedText).Msg("size check")
	case next.limit == 0 && known.limit != 0:
		u.log.Info().Str("node", bounded(n.address)).Int64("scanned", next.scanned).Msg("size check")
	}
}

const unscannedText = "the engine calls larger objects ok without a look, they count as partial: " +
	"raise its own limits (clamd.conf: MaxFileSize, MaxScanSize, MaxScanTime, or AlertExceedsMax yes) or lower max_size here"

// largest is the size of the largest object that is sent, as far as it can be tried.
func (u *pool) largest() int64 {
	size := int64(largestProbe)
	switch {
	case u.config().MaxSize > 0:
		size = min(size, u.config().MaxSize)
	case u.config().MaxStream > 0:
		size = min(size, u.config().MaxStream)
	}
	return size
}

// proveSize asks n for its largest object, and if that is called ok, for the limit
// below it. A node that was never seen to look into archives is asked for the
// smallest one first: if it passes that, nothing can be proven.
func (u *pool) proveSize(n *node, size int64, known sizeProof) sizeProof {
	small := scanned
	if known.scanned == 0 {
		small = u.scansSize(n, testfile.LargeMin)
	}
	answer := small
	if small == scanned {
		answer = u.scansSize(n, size)
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
	u.catch(n)
	low := int64(testfile.LargeMin)
	if known.scanned != 0 {
		switch u.scansSize(n, low) {
		case passed, refused: // it does not look into archives any more
			return sizeProof{done: true, limit: known.limit}
		}
	}
	if known.scanned > low && known.scanned < size && u.scansSize(n, known.scanned) == scanned {
		low = known.scanned
	}
	low = u.searchSize(n, low, size)
	return sizeProof{done: true, scanned: low, limit: low}
}

// unanswered is p after a node that did not answer.
func (p sizeProof) unanswered() sizeProof {
	p.tries++
	p.done = p.done || p.tries >= sizeTries
	return p
}

// catch notes that n calls its largest object ok without a look: until its limit is
// found, what it says of large objects is not believed, however long that takes.
func (u *pool) catch(n *node) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n.caught, n.unproven = true, true
}

// searchSize finds the limit of n: low is scanned, high is not.
func (u *pool) searchSize(n *node, low, high int64) int64 {
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
	return low
}

// The answers to an object of some size that has EICAR in it.
type sizeAnswer int

const (
	unanswered sizeAnswer = iota // a failure
	scanned                      // EICAR was found
	refused                      // it is said that not all was scanned
	passed                       // ok, without a look
)

func (u *pool) scansSize(n *node, size int64) sizeAnswer {
	data, err := testfile.Large(size)
	if err != nil {
		return unanswered
	}
	ctx, cancel := limited(u.life, u.config().Timeout)
	defer cancel()
	r, err := u.tryObject(ctx, n, fmt.Sprintf("archive of %d bytes", size), data, true, nil)
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

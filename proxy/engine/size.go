package engine

import "time"

const (
	// sizeTries is how often a node without an answer is asked again.
	sizeTries = 3
	// sizeEvery is after how many canary intervals a node is asked again although nothing
	// is known to have happened: a restart between two health checks leaves no trace.
	sizeEvery = 12
	// sizeWait is how long an ok for a large object counts as partial because it is not
	// proven that the object was scanned: a node that is too busy to be asked must not
	// turn honest mail into errors for long.
	sizeWait = time.Minute
	// unprovenMin is the size up to which objects never count as unproven. No known
	// engine has a smaller limit.
	unprovenMin = 1 << 20
)

const unscannedText = "the engine calls larger objects ok without scanning them, so they count as partial: " +
	"raise its limits (clamd.conf: MaxFileSize, MaxScanSize, MaxScanTime, or AlertExceedsMax yes), or lower max_size"

// sizeProof is what is known of the sizes that a node scans.
type sizeProof struct {
	done    bool  // asked, or there is no point in asking
	tries   int   // without an answer
	scanned int64 // an object of this size is scanned; 0: not known
	// limit is the size above which objects are called ok without a look; 0: no such limit
	// is known.
	limit int64
}

// unanswered is p after a node that did not answer.
func (p sizeProof) unanswered() sizeProof {
	p.tries++
	p.done = p.done || p.tries >= sizeTries
	return p
}

// sizes is the state of a node's size check. pool.mu guards it.
type sizes struct {
	sizeProof
	running  bool        // checkSize is under way
	age      int         // counts what made the proof worth renewing
	asked    time.Time   // when it was last proven from the start
	unproven bool        // an ok for a large object is partial, see doubtSize
	trusted  int64       // up to this size it is still ok
	caught   bool        // the largest object is not scanned, and the limit not found yet
	timer    *time.Timer // ends unproven
}

// renew has the node asked again with its next health check: its limits may have changed.
// What is known holds until then.
func (s *sizes) renew() {
	s.done, s.tries = false, 0
	s.age++
}

// forget is for a configuration without size checks.
func (s *sizes) forget() {
	s.renew()
	s.sizeProof, s.unproven, s.caught = sizeProof{}, false, false
	s.stopTimer()
}

func (s *sizes) stopTimer() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
}

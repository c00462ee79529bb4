package engine

import "time"

const (
	// sizeTries is how often a node that does not answer is asked.
	sizeTries = 3
	// sizeEvery is after how many canary intervals a node is asked again without a known
	// reason: a restart between two health checks leaves no trace.
	sizeEvery = 12
	// sizeWait is how long an ok for a large object counts as partial while there is no
	// proof that the node scans such objects. A node that is too busy for the size check
	// must not turn good mail into errors for long.
	sizeWait = time.Minute
	// unprovenMin is the size up to which objects never count as unproven. No known
	// engine has a smaller limit.
	unprovenMin = 1 << 20
)

const unscannedText = "the engine calls larger objects ok without scanning them, so they count as partial: " +
	"raise its limits (clamd.conf: MaxFileSize, MaxScanSize, MaxScanTime, or AlertExceedsMax yes), or lower max_size"

// sizeProof is what is known about the sizes that a node scans.
type sizeProof struct {
	done    bool  // asked, or there is no point in asking
	tries   int   // without an answer
	scanned int64 // an object of this size is scanned; 0: not known
	// limit is the size above which objects get an ok unscanned; 0: no such limit is
	// known.
	limit int64
}

// unanswered returns p after one more try without an answer.
func (p sizeProof) unanswered() sizeProof {
	p.tries++
	p.done = p.done || p.tries >= sizeTries
	return p
}

// sizes is the state of a node's size check. pool.mu guards it.
type sizes struct {
	sizeProof
	running  bool        // checkSize is under way
	age      int         // counts the events that made the proof outdated
	asked    time.Time   // when it was last proven from the start
	unproven bool        // an ok for a large object is partial, see markUnproven
	trusted  int64       // up to this size it is still ok
	caught   bool        // the largest object is not scanned, and the limit not found yet
	timer    *time.Timer // ends unproven
}

// renew makes the next health check repeat the size check: the node's limits may have
// changed. The current proof holds until then.
func (s *sizes) renew() {
	s.done, s.tries = false, 0
	s.age++
}

// forget drops the proof, for a configuration without size checks.
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

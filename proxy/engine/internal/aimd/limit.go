// Package aimd adapts a concurrency limit to what an engine can take: additive increase,
// multiplicative decrease, so that several daemons that share an engine converge without
// talking to each other.
package aimd

// Limit is how many of a node's slots may be used. The zero value means no limit. It is not
// safe for concurrent use.
type Limit struct {
	now   int // 0: all slots
	good  int // answers in time since now last changed
	round int // counts the cuts
}

// Slots is the limit for a node with total slots.
func (l *Limit) Slots(total int) int {
	if l.now == 0 || l.now > total {
		return total
	}
	return l.now
}

// Round identifies the period since the last cut. A scan stores the round in which it
// began, for [Limit.Lower].
func (l *Limit) Round() int { return l.round }

// Lower halves the limit after a scan that began in round was not answered in time.
// Scans that were already running at the last cut do not count again.
func (l *Limit) Lower(total, round int) {
	if round != l.round {
		return
	}
	l.round++
	l.good = 0
	l.now = max(1, l.Slots(total)/2)
}

// Raise counts an answer in time. One slot is added after as many answers as there are slots.
func (l *Limit) Raise(total int) {
	slots := l.Slots(total)
	if slots == total {
		l.now, l.good = 0, 0
		return
	}
	if l.good++; l.good >= slots {
		l.now, l.good = slots+1, 0
	}
}

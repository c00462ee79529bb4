package poison

import (
	"slices"
	"time"
)

// maxUndecided bounds the undecided deaths and hangs of a node. More than that at the same
// time are the node's fault.
const maxUndecided = 16

// Evidence decides whether an object or its node is to blame for a scan that died or
// hung. There is one per node; the zero value is ready for use. Neither it nor its deaths
// and hangs are safe for concurrent use.
type Evidence struct {
	scans  int       // running; neither abandoned ones nor health checks
	asked  time.Time // start of the newest scan or check that was answered in time
	deaths []*Death
	hangs  []*Hang
}

// Begin counts a scan.
func (e *Evidence) Begin() { e.scans++ }

// End ends a scan that began at the given time. It decides the deaths that happened during
// the scan, and returns the objects to blame for them.
func (e *Evidence) End(began time.Time, answered bool) []Digest {
	e.scans--
	var guilty []Digest
	undecided := e.deaths[:0]
	for _, d := range e.deaths {
		if began.Before(d.at) {
			d.others--
			d.decided = answered || d.others <= 0
			d.guilty = d.decided && !answered
		}
		switch {
		case !d.decided:
			undecided = append(undecided, d)
		case d.guilty && d.digest != nil:
			guilty = append(guilty, slices.Repeat([]Digest{*d.digest}, d.times)...)
		}
	}
	clear(e.deaths[len(undecided):])
	e.deaths = undecided
	return guilty
}

// A Death is a connection that broke off while the node had other scans.
type Death struct {
	at      time.Time
	times   int // how often the engine died
	others  int // scans that have not ended yet
	decided bool
	guilty  bool    // none of them was answered
	digest  *Digest // nil: not known yet
}

// Died records that the scan that has just ended died so many times. It returns nil if no other
// scan can show whether the node is alive.
func (e *Evidence) Died(times int) *Death {
	if e.scans <= 0 || len(e.deaths) >= maxUndecided {
		return nil
	}
	d := &Death{at: time.Now(), times: times, others: e.scans}
	e.deaths = append(e.deaths, d)
	return d
}

// Blame reports whether the object is to blame for d. If d is nil, it is. If that is not
// decided yet, [Evidence.End] will return the object.
func (d *Death) Blame(object *Digest) bool {
	if d == nil {
		return true
	}
	d.digest = object
	return d.decided && d.guilty
}

// A Hang is a scan that timed out.
type Hang struct {
	after   time.Time // the first scan or check that starts after this decides
	decided bool
	guilty  bool
	digest  *Digest // nil: not known yet
}

// Hung records a scan that timed out; object may be nil. It returns nil if too many hangs
// are undecided already. guilty says that the object is already known to be to blame.
func (e *Evidence) Hung(began time.Time, object *Digest) (h *Hang, guilty bool) {
	h = &Hang{after: began.Add(time.Since(began) / 2), digest: object}
	switch {
	case e.asked.After(h.after):
		h.decided, h.guilty = true, true
		return h, object != nil
	case len(e.hangs) >= maxUndecided:
		return nil, false
	}
	e.hangs = append(e.hangs, h)
	return h, false
}

// Blame sets the object of h, nil if it could not be read. It reports whether the object
// is to blame. If that is not known yet, [Evidence.Resolve] will return it.
func (h *Hang) Blame(object *Digest) bool {
	h.digest = object
	return object != nil && h.decided && h.guilty
}

// Resolve decides the hangs for which a scan or check that started at the given time is
// evidence. It returns the objects to blame.
func (e *Evidence) Resolve(asked time.Time, alive bool) []Digest {
	if alive && asked.After(e.asked) {
		e.asked = asked
	}
	var guilty []Digest
	undecided := e.hangs[:0]
	for _, h := range e.hangs {
		if !asked.After(h.after) {
			undecided = append(undecided, h)
			continue
		}
		h.decided, h.guilty = true, alive
		if alive && h.digest != nil {
			guilty = append(guilty, *h.digest)
		}
	}
	clear(e.hangs[len(undecided):])
	e.hangs = undecided
	return guilty
}

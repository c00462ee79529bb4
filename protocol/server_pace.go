package protocol

import "time"

// SetPace sets how fast the stream must arrive, beginning now. If it does not, WriteTo
// returns [ErrStreamSlow] or [ErrStreamLong].
func (s *Stream) SetPace(p Pace) {
	s.pace = pace{}
	if p.MaxTime > 0 {
		s.pace.end = time.Now().Add(p.MaxTime)
	}
	if p.MinRate > 0 {
		s.pace.window = s.timeout
		s.pace.least = int64(float64(p.MinRate) * s.timeout.Seconds())
	}
}

// pace measures one stream against its Pace.
type pace struct {
	end    time.Time     // when the stream must be complete; zero: no limit
	window time.Duration // over which the rate is measured; 0: not at all
	least  int64         // minimum number of bytes in a window
	waited time.Duration // time spent waiting for the client in this window
	got    int64         // bytes received in this window
}

// deadline returns when to check the pace again, or deadline if that is earlier.
func (p *pace) deadline(now, deadline time.Time) time.Time {
	if !p.end.IsZero() && p.end.Before(deadline) {
		deadline = p.end
	}
	if p.window > 0 {
		if d := now.Add(p.window - p.waited); d.Before(deadline) {
			deadline = d
		}
	}
	return deadline
}

// check returns an error if the stream is too slow or too long after a wait that brought n
// bytes.
func (p *pace) check(waited time.Duration, n int, now time.Time) error {
	if !p.end.IsZero() && !now.Before(p.end) {
		return ErrStreamLong
	}
	if p.window == 0 {
		return nil
	}
	p.waited += waited
	p.got += int64(n)
	if p.waited < p.window {
		return nil
	}
	slow := p.got < p.least
	silent := p.got == 0 // the timeout covers that
	p.waited, p.got = 0, 0
	if slow && !silent {
		return ErrStreamSlow
	}
	return nil
}

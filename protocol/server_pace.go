package protocol

import "time"

// SetPace bounds how slowly the stream may come, from now on. WriteTo then returns
// ErrStreamSlow or ErrStreamLong too.
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

// pace watches over the Pace of one stream.
type pace struct {
	end    time.Time     // of the stream; zero: none
	window time.Duration // over which the rate is measured; 0: it is not
	least  int64         // bytes in a window
	waited time.Duration // for the client, in this window
	got    int64         // bytes in this window
}

// deadline is when to look at the pace again, or the given deadline if that is earlier.
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

// kept reports whether the pace is kept after a wait that brought n bytes.
func (p *pace) kept(waited time.Duration, n int, now time.Time) error {
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
	silent := p.got == 0 // that is the timeout, not the pace
	p.waited, p.got = 0, 0
	if slow && !silent {
		return ErrStreamSlow
	}
	return nil
}

package client

// Within is the rule of every share: a client may hold percent of what the other
// clients leave of total. It reports whether one that holds held may have n more while
// the others hold others.
//
// With 75 % a client alone holds three quarters of total, two greedy ones 43 % each,
// three 30 % each: whatever they do, something is left for the next. The first thing
// of a client needs no share, only room. A percent of 0 or 100 is no share at all.
func Within(held, others, n, total int64, percent int) bool {
	left := total - others
	switch {
	case held+n > left:
		return false
	case held == 0 || percent <= 0 || percent >= 100:
		return true
	}
	p := int64(percent)
	return held+n <= left/100*p+left%100*p/100
}

// Shares counts what each client holds of something limited. The zero Shares is ready
// for use; it is not safe for concurrent use.
type Shares struct {
	held map[Key]int64
	sum  int64
}

// Take counts n more for k if that is within its share of total, see [Within]. No share
// bounds the zero Key, only total.
func (s *Shares) Take(k Key, n, total int64, percent int) bool {
	if k.IsZero() {
		percent = 0
	}
	held := s.held[k]
	if !Within(held, s.sum-held, n, total, percent) {
		return false
	}
	if s.held == nil {
		s.held = map[Key]int64{}
	}
	s.held[k] = held + n
	s.sum += n
	return true
}

// Give takes back n of what was counted for k.
func (s *Shares) Give(k Key, n int64) {
	s.sum -= n
	if s.held[k] -= n; s.held[k] == 0 {
		delete(s.held, k)
	}
}

// Held is what is counted for k.
func (s *Shares) Held(k Key) int64 { return s.held[k] }

// Sum is what all clients hold.
func (s *Shares) Sum() int64 { return s.sum }

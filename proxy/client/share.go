package client

// Within implements all shares: a client may hold percent of what the other clients leave
// of total. It reports whether a client that holds held may have n more while the others
// hold others.
//
// With 75 % a single client can hold three quarters of total, two greedy ones 43 % each,
// three 30 % each: something is always left for the next. A client that holds nothing gets
// whatever is left. A percent of 0 or 100 means no shares.
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

// Shares counts what each client holds of a limited resource. The zero Shares is ready
// for use. It is not safe for concurrent use.
type Shares struct {
	held map[Key]int64
	sum  int64
}

// Take counts n more for k if that is within its share of total, see [Within]. The zero Key
// is limited only by total.
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

// Give returns n of what k holds.
func (s *Shares) Give(k Key, n int64) {
	s.sum -= n
	if s.held[k] -= n; s.held[k] == 0 {
		delete(s.held, k)
	}
}

// Held is what k holds.
func (s *Shares) Held(k Key) int64 { return s.held[k] }

// Sum is what all clients hold.
func (s *Shares) Sum() int64 { return s.sum }

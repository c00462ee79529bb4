package nullclamd

import (
	"time"

	"golang.org/x/sys/unix"
)

// delayed is the answer to a scan that takes its time. All take the same, so the first to
// begin is the first to be due.
type delayed struct {
	conn         *conn
	due          time.Time
	object, text string
}

// later answers c after the delay.
func (s *Server) later(c *conn, object, text string) {
	s.waiting = append(s.waiting, delayed{c, time.Now().Add(s.Delay), object, text})
	if len(s.waiting) == 1 {
		s.setTimer()
	}
}

// setTimer makes the timer fire when the first answer is due.
func (s *Server) setTimer() {
	left := max(time.Until(s.waiting[0].due), time.Nanosecond) // zero would switch it off
	unix.TimerfdSettime(s.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(left.Nanoseconds())}, nil)
}

// answerDue sends the answers whose time has come. Clients that have left get none.
func (s *Server) answerDue() {
	var expirations [8]byte
	unix.Read(s.timer, expirations[:])
	now, n := time.Now(), 0
	for ; n < len(s.waiting) && !s.waiting[n].due.After(now); n++ {
		w := s.waiting[n]
		if s.conns[int32(w.conn.fd)] == w.conn && !w.conn.answer(w.object, w.text) {
			s.close(w.conn)
		}
	}
	s.waiting = s.waiting[:copy(s.waiting, s.waiting[n:])]
	if len(s.waiting) > 0 {
		s.setTimer()
	}
}

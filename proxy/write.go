package proxy

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A client of an IDSESSION that sends commands but reads no replies causes a deadlock:
// its replies fill the socket, so no scan ends, so no command is read, so the client
// blocks while sending. clamd 1.4.6 gives up after 500 ms (SendBufTimeout), whatever the
// client does. Here a client that is merely slow to read has all of write_timeout.
// deadlockTime is for one that is in the deadlock: its commands wait in our socket, and
// it has not read a single byte.
const (
	deadlockTime  = 2 * time.Second
	deadlockCheck = 250 * time.Millisecond
)

// write sends a reply. An IDSESSION ends with the first reply that cannot be sent: the
// client could not know which of its commands got no answer.
func (s *session) write(b []byte, timeout time.Duration) error {
	if s.ids == nil {
		return s.conn.WriteReply(b, timeout)
	}
	sent := make(chan struct{})
	watchdog := time.AfterFunc(deadlockCheck, func() { s.watchDeadlock(sent) })
	err := s.conn.WriteReply(b, timeout)
	watchdog.Stop()
	close(sent)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.notRead(timeout, "limits.write_timeout is over")
	case err != nil:
		s.cutOff(errGone)
	}
	return err
}

// notRead cuts off a client that has not read its replies for the given time.
func (s *session) notRead(after time.Duration, reason string) {
	s.closed.Do(func() {
		s.srv.log.Info().Str("client", s.client()).Str("listener", s.address).Stringer("after", after).
			Str("reason", "the client does not read its replies: "+reason).Msg("session closed")
	})
	s.cutOff(errNotRead)
}

// watchDeadlock cuts off the client if it is in the deadlock described above before sent
// is closed.
func (s *session) watchDeadlock(sent <-chan struct{}) {
	tick := time.NewTicker(deadlockCheck)
	defer tick.Stop()
	least, since := s.unsent(), time.Now()
	for {
		select {
		case <-sent:
			return
		case <-tick.C:
		}
		left := s.unsent()
		if left < least || s.unread() == 0 {
			least, since = left, time.Now()
		}
		if time.Since(since) < deadlockTime {
			continue
		}
		s.notRead(deadlockTime, "but sends more commands")
		return
	}
}

// unsent is how much of the replies the client has not read yet, as the kernel counts it.
func (s *session) unsent() int { return s.queued(unix.SIOCOUTQ) }

// unread is how many bytes the client has sent that we have not read yet.
func (s *session) unread() int { return s.queued(unix.SIOCINQ) }

// queued returns the length of a queue of the socket, or 0 if it is unknown.
func (s *session) queued(which uint) (n int) {
	socket, ok := socketOf(s.nc).(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	if raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), which) }) != nil || err != nil {
		return 0
	}
	return n
}

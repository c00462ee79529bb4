package proxy

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/proxy/engine"
)

// A client of an IDSESSION that sends commands and reads no replies ends in a deadlock:
// its replies fill the socket, so no scan ends, so no command is read, so the client
// blocks in sending. clamd 1.4.6 gives up after 500 ms (SendBufTimeout), whatever the
// client does. Here a client that only reads slowly has all of write_timeout.
// deadlockTime is for one in the deadlock: its commands wait in our socket, and it has
// not read a single byte.
const (
	deadlockTime  = 2 * time.Second
	deadlockCheck = 250 * time.Millisecond
)

// Why the scans of an IDSESSION are called off.
const (
	errNotRead     = engine.CalledOff("the client does not read its replies")
	errNotAnswered = engine.CalledOff("the session ended with a scan that is answered by closing")
	errPanicked    = engine.CalledOff("the session ended with a panic")
)

// write sends a reply. An IDSESSION ends with the first one that cannot be sent: the
// client could not know which of its commands got no answer.
func (s *session) write(b []byte, cfg *Config) error {
	if s.ids == nil {
		return s.conn.WriteReply(b, cfg.Limits.WriteTimeout)
	}
	sent := make(chan struct{})
	watch := time.AfterFunc(deadlockCheck, func() { s.watchDeadlock(sent) })
	err := s.conn.WriteReply(b, cfg.Limits.WriteTimeout)
	watch.Stop()
	close(sent)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		s.notRead(cfg.Limits.WriteTimeout, "limits.write_timeout is over")
	case err != nil:
		s.cutOff(errGone)
	}
	return err
}

// cutOff closes the connection of an IDSESSION and calls off its scans.
func (s *session) cutOff(why engine.CalledOff) {
	s.cancel(why)
	s.conn.Close()
}

// notRead is cutOff for a client that has not read its replies for so long.
func (s *session) notRead(d time.Duration, reason string) {
	s.ids.ended.Do(func() {
		s.srv.log.Info().Str("client", s.client()).Str("listener", s.address).Stringer("after", d).
			Str("reason", "the client does not read its replies: "+reason).Msg("session closed")
	})
	s.cutOff(errNotRead)
}

// watchDeadlock closes the connection if the client is in the deadlock described above
// before sent is closed.
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

// unsent is how much of the replies the client has not read yet. The unit is the
// kernel's.
func (s *session) unsent() int { return s.queued(unix.SIOCOUTQ) }

// unread is how many bytes of the client have not been received.
func (s *session) unread() int { return s.queued(unix.SIOCINQ) }

// queued asks the kernel how full a queue of the socket is; 0 if it does not say.
func (s *session) queued(which uint) (n int) {
	socket, ok := s.nc.(syscall.Conn)
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

package protocol

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// The input of TLS may be its own messages, such as session tickets, so only a read shows
// whether a reply has arrived. The goroutine that reads gets this long to consume what has.
const (
	settleTries = 1000
	settlePause = 50 * time.Microsecond
)

// settle waits until the socket below TLS holds no input, which another goroutine reads
// meanwhile. It reports false if input or its end stays.
func (l *link) settle() bool {
	if l.sock == nil {
		return true
	}
	for range settleTries {
		if l.sockIsEmpty() {
			return true
		}
		time.Sleep(settlePause)
	}
	return false
}

func (l *link) sockIsEmpty() bool {
	var err error
	var one [1]byte
	if l.sock.Control(func(fd uintptr) { _, err = peek(fd, one[:]) }) != nil {
		return false
	}
	return err == syscall.EAGAIN
}

// idle reports whether the connection is open and nothing has arrived, not even in TLS. No
// other goroutine may use the connection. With a deadline in the past, crypto/tls returns
// what it holds and reads nothing.
func (l *link) idle() bool {
	if l.sock == nil {
		return l.silent()
	}
	if !l.silent() || !l.sockIsEmpty() {
		return false
	}
	l.nc.SetReadDeadline(past)
	n, err := l.nc.Read(make([]byte, 1))
	l.nc.SetReadDeadline(time.Time{})
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

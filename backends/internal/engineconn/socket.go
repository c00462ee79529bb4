package engineconn

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// socket is a connection that can report whether there is unread input.
type socket struct {
	net.Conn
	raw syscall.RawConn // nil if the connection has no descriptor

	mu       sync.Mutex
	received int64 // bytes read

	// The arguments and results of receive, which is created once so that reads do not
	// allocate. Only one goroutine reads at a time.
	p       []byte
	n       int
	err     error
	receive func(fd uintptr) bool
}

func newSocket(nc net.Conn) *socket {
	s := &socket{Conn: nc}
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return s
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return s
	}
	s.raw = raw
	s.receive = func(fd uintptr) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for {
			s.n, s.err = syscall.Read(int(fd), s.p)
			if s.err != syscall.EINTR {
				break
			}
		}
		s.received += int64(max(s.n, 0))
		return s.err != syscall.EAGAIN
	}
	return s
}

// Read implements [io.Reader].
func (s *socket) Read(p []byte) (int, error) {
	if s.raw == nil || len(p) == 0 {
		n, err := s.Conn.Read(p)
		s.mu.Lock()
		s.received += int64(n)
		s.mu.Unlock()
		return n, err
	}
	s.p = p
	err := s.raw.Read(s.receive)
	s.p = nil
	switch {
	case err != nil:
		return 0, err
	case s.err != nil:
		return 0, os.NewSyscallError("read", s.err)
	case s.n == 0:
		return 0, io.EOF
	}
	return s.n, nil
}

// CloseWrite closes the sending side if the network supports that.
func (s *socket) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// silent reports whether nothing was read since the mark and no input is waiting, neither
// bytes nor the end of the connection. It may be called during a Read: both hold mu, so
// silent never misses a byte.
func (s *socket) silent(mark int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received == mark && s.isEmpty()
}

// isEmpty reports whether the kernel holds no input. The caller holds mu.
func (s *socket) isEmpty() bool {
	if s.raw == nil {
		return true
	}
	empty := false
	err := s.raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		empty = err == syscall.EAGAIN || err == syscall.EINTR
	})
	return err == nil && empty
}

// closed returns an error if this side has closed the connection.
func (s *socket) closed() error {
	if s.raw == nil {
		return nil
	}
	return s.raw.Control(func(uintptr) {})
}

// hasInput reports whether there are unread bytes. The end of the connection does not
// count.
func (s *socket) hasInput() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw == nil {
		return false
	}
	input := false
	s.raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		input = err == nil && n > 0
	})
	return input
}

func (s *socket) mark() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.received
}

// Package nullclamd is a clamd that scans nothing: it reads its input and answers OK.
// What remains to be measured is the cost of the proxy in front of it.
//
// It knows INSTREAM, FILDES, PING and VERSION, all of them in an IDSESSION too. It
// finds the EICAR test file, also in a mail, so that a proxy that checks this accepts it as
// an engine. It is one thread around epoll and allocates nothing per scan.
package nullclamd

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// readBuffer is the size of a read. Larger ones are no faster.
const readBuffer = 256 << 10

// Server answers the clients of one Unix socket.
type Server struct {
	// Delay is how long a scan takes, any number of them at the same time. Set it before
	// Serve.
	Delay time.Duration

	listener int
	epoll    int
	wake     int // eventfd that ends Serve
	conns    map[int32]*conn
	buf      []byte // what clients send
	scratch  []byte // what files contain
	oob      []byte
	timer    int // timerfd, set to when the first of waiting is due
	waiting  []delayed
}

// Listen makes the socket at path.
func Listen(path string) (*Server, error) {
	s := &Server{conns: map[int32]*conn{}, buf: make([]byte, readBuffer), scratch: make([]byte, readBuffer), oob: make([]byte, 64)}
	var err error
	if s.listener, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if err := s.open(path); err != nil {
		unix.Close(s.listener)
		return nil, err
	}
	return s, nil
}

func (s *Server) open(path string) error {
	if err := unix.Bind(s.listener, &unix.SockaddrUnix{Name: path}); err != nil {
		return fmt.Errorf("bind %s: %w", path, err)
	}
	if err := unix.Listen(s.listener, 4096); err != nil {
		return fmt.Errorf("listen %s: %w", path, err)
	}
	var err error
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return fmt.Errorf("eventfd: %w", err)
	}
	if s.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	return errors.Join(s.watch(s.listener), s.watch(s.wake), s.watch(s.timer))
}

func (s *Server) watch(fd int) error {
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &event)
}

// Serve answers until Close.
func (s *Server) Serve() error {
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(s.epoll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
		for _, e := range events[:n] {
			switch int(e.Fd) {
			case s.wake:
				s.end()
				return net.ErrClosed
			case s.listener:
				s.accept()
			case s.timer:
				s.answerDue()
			default:
				s.serve(e.Fd)
			}
		}
	}
}

// Close makes Serve return. It may be called from any goroutine, once.
func (s *Server) Close() error {
	_, err := unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return err
}

func (s *Server) end() {
	for fd := range s.conns {
		unix.Close(int(fd))
	}
	unix.Close(s.listener)
	unix.Close(s.epoll)
	unix.Close(s.wake)
	unix.Close(s.timer)
}

// accept accepts all waiting connections. Their commands have often arrived already.
func (s *Server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		if s.watch(fd) != nil {
			unix.Close(fd)
			continue
		}
		s.conns[int32(fd)] = &conn{fd: fd, server: s}
		s.serve(int32(fd))
	}
}

// serve reads once from the client.
func (s *Server) serve(fd int32) {
	c := s.conns[fd]
	if c == nil {
		return
	}
	n, oobn, _, _, err := unix.Recvmsg(int(fd), s.buf, s.oob, unix.MSG_CMSG_CLOEXEC)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err == nil && n > 0 {
		c.descriptor(s.oob[:oobn])
		if c.feed(s.buf[:n], s.scratch) {
			return
		}
	}
	s.close(c)
}

func (s *Server) close(c *conn) {
	c.drop()
	delete(s.conns, int32(c.fd))
	unix.Close(c.fd)
}

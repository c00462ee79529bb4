package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A client makes a connection for every scan, as most clients do. It blocks in plain
// system calls, so that measuring costs little.
type client struct {
	to      *unix.SockaddrUnix
	timeout unix.Timeval
	fd      int // -1: not connected
	reply   [256]byte
}

var okReply = []byte("stream: OK\x00")

var errClosed = errors.New("closed")

func newClient(socket string, timeout time.Duration) *client {
	return &client{
		to:      &unix.SockaddrUnix{Name: socket},
		timeout: unix.NsecToTimeval(timeout.Nanoseconds()),
		fd:      -1,
	}
}

// connect connects. Connecting, and every read and write on the connection, end after
// the timeout.
func (c *client) connect() error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	c.fd = fd
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &c.timeout); err != nil {
			return fmt.Errorf("setsockopt: %w", err)
		}
	}
	for {
		err := unix.Connect(fd, c.to)
		if err == nil {
			return nil
		}
		if err != unix.EINTR {
			return fmt.Errorf("connect: %w", err)
		}
	}
}

func (c *client) close() {
	if c.fd >= 0 {
		unix.Close(c.fd)
		c.fd = -1
	}
}

// scan sends a request and returns how long the answer took. Anything but an OK is an
// error.
func (c *client) scan(request []byte) (time.Duration, error) {
	begin := time.Now()
	defer c.close()
	if err := c.connect(); err != nil {
		return 0, err
	}
	if err := c.send(request); err != nil {
		return 0, err
	}
	reply, err := c.receive()
	took := time.Since(begin)
	if err != nil {
		return 0, err
	}
	if !bytes.Equal(reply, okReply) {
		return 0, fmt.Errorf("answered %q", reply)
	}
	return took, nil
}

func (c *client) send(p []byte) error {
	for len(p) > 0 {
		n, err := unix.SendmsgN(c.fd, p, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("send: %w", err)
		}
		p = p[max(n, 0):]
	}
	return nil
}

// receive reads one record.
func (c *client) receive() ([]byte, error) {
	n := 0
	for n < len(c.reply) {
		m, err := unix.Read(c.fd, c.reply[n:])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, fmt.Errorf("receive: %w", err)
		case m == 0:
			return nil, fmt.Errorf("%w after %q", errClosed, c.reply[:n])
		}
		n += m
		if bytes.IndexByte(c.reply[:n], 0) >= 0 {
			return c.reply[:n], nil
		}
	}
	return nil, errors.New("reply too long")
}

// ask sends a command and returns the answer.
func (c *client) ask(command string) (string, error) {
	defer c.close()
	if err := c.connect(); err != nil {
		return "", err
	}
	if err := c.send([]byte("z" + command + "\x00")); err != nil {
		return "", err
	}
	reply, err := c.receive()
	return strings.TrimSuffix(string(reply), "\x00"), err
}

func (c *client) ping() error {
	reply, err := c.ask("PING")
	if err == nil && reply != "PONG" {
		err = fmt.Errorf("answered %q to PING", reply)
	}
	return err
}

package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"

	"polyclam/protocol/nowait"
)

// request is one command of a client and the data sent with it.
type request struct {
	verb   Verb
	path   string    // for a scan command
	stream io.Reader // for INSTREAM
	file   *os.File  // for FILDES
	object string    // what the reply must be about

	fd       int  // for FILDES instead of file, if readable
	readable bool // fd is known to be a regular file that can be read
}

// command returns prefix and the command, with room for the byte that carries a descriptor.
func (q *request) command(prefix string) []byte {
	b := make([]byte, 0, len(prefix)+len("z")+len(q.verb)+len(" ")+len(q.path)+len("\x00\x00"))
	b = append(append(append(b, prefix...), 'z'), q.verb...)
	if q.path != "" {
		b = append(append(b, ' '), q.path...)
	}
	return append(b, 0)
}

// checkPath returns an error if a path cannot be sent.
func checkPath(verb Verb, path string) error {
	n := len("z") + len(verb) + len(" ") + len(path) + len("\x00")
	switch {
	case path == "":
		return fmt.Errorf("%w: it is empty", ErrPath)
	case strings.IndexByte(path, 0) >= 0:
		return fmt.Errorf("%w: it contains a NUL: %s", ErrPath, excerpt(path))
	case n > maxCommand:
		return fmt.Errorf("%w: it has %d bytes, the limit is %d", ErrPath, len(path), len(path)-n+maxCommand)
	}
	return nil
}

// sender sends one request.
type sender struct {
	link    *link
	session *ClientSession // nil: the link serves no other request
	call    *call          // in session
	begun   bool           // part of the request was sent
	whole   bool           // the next write completes it
	out     []byte         // for the next write
	unix    *net.UnixConn  // sends fd with out; nil: there is no descriptor
	fd      int
	object  int64         // bytes of a stream that were sent
	watched chan struct{} // closed when watch has seen the reply; nil: watch was not called

	// For finish, in a session.
	trace    *ClientTrace
	prefix   string
	q        *request
	finished bool
}

// finish is called once after the attempt to send a request in a session. The next one may
// then be sent.
func (s *sender) finish(err error) {
	if s.finished {
		return
	}
	s.finished = true
	s.session.sent(s.call, s, err)
	s.trace.sent(s.prefix, s.q, s.object, err)
	<-s.session.writing
}

// check runs before each write. Input that arrives before the last write comes from a
// server that does not have the whole request. If it may be the reply, check returns
// errAnswered.
func (s *sender) check() error {
	switch {
	case s.session != nil:
		return s.session.check(s.call, s.begun)
	case s.link.settle() && s.link.silent():
		return nil
	}
	return errAnswered
}

// watch waits for the reply in the background while a long stream is sent, and stops the
// current write when it arrives. If the connection is not a socket, this is also the only
// way to notice input.
func (s *sender) watch() chan struct{} {
	if s.session != nil {
		return s.session.watch(s.call)
	}
	return s.link.watch()
}

// join waits for the end of the watch, if there is one.
func (s *sender) join() {
	if s.watched != nil {
		<-s.watched
	}
}

// request sends prefix and q. After a *sendError the server has not received everything,
// but may have answered. After any other error the connection is useless.
func (s *sender) request(prefix string, q *request) error {
	switch {
	case q.stream != nil:
		return s.sendStream(prefix, q)
	case q.file != nil, q.readable:
		s.whole = true
		return s.sendFile(append(q.command(prefix), 0), q)
	}
	s.whole = true
	return s.write(q.command(prefix))
}

// write sends p in one call.
func (s *sender) write(p []byte) error {
	if s.watched == nil && (s.begun || s.link.raw == nil) {
		s.watched = s.watch()
	}
	s.out = p
	return s.checked()
}

// writeOut is the write of out and fd.
func (s *sender) writeOut() error {
	s.begun = true
	if s.unix == nil {
		_, err := s.link.nc.Write(s.out)
		return err
	}
	n, _, err := s.unix.WriteMsgUnix(s.out, s.link.rightsFor(s.fd), nil)
	if err == nil && n < len(s.out) {
		err = io.ErrShortWrite
	}
	return err
}

// writeNow is writeOut for the socket fd of the link, without a wait if it takes everything.
func (s *sender) writeNow(fd int) error {
	if s.unix == nil || len(s.out) == 0 {
		return s.writeOut()
	}
	n, err := retried(func() (int, error) { return nowait.Send(fd, s.out, s.link.rightsFor(s.fd)) })
	switch {
	case err == syscall.EAGAIN:
		return s.writeOut()
	case err == nil && n < len(s.out):
		err = io.ErrShortWrite
	case err != nil:
		err = os.NewSyscallError("sendmsg", err)
	}
	s.begun = true
	return err
}

// checked calls writeOut after a check.
func (s *sender) checked() error {
	sent, err := s.sendWhole()
	if !sent {
		if err = s.check(); err == nil {
			err = s.writeOut()
		}
	}
	if errors.Is(err, os.ErrDeadlineExceeded) && (s.check() == errAnswered || s.ended()) {
		err = errAnswered
	}
	return sendFailed(err)
}

// ended reports whether the watch of a request outside a session has ended a write, and waits
// for it: the reason is in link.end. Nothing else sets a deadline without ending the watch too.
func (s *sender) ended() bool {
	if s.session != nil || s.watched == nil {
		return false
	}
	s.join()
	return true
}

const (
	chunkHead = maxTag + 64
	chunkData = 128 << 10
)

// A streamBuffer has room for a command and what precedes it (IDSESSION in the first
// request of a session, XTAG), a length, data, and the end marker, so that a small stream is
// one write.
type streamBuffer [chunkHead + 4 + chunkData + 4]byte

var streamBuffers = sync.Pool{New: func() any { return new(streamBuffer) }}

func (s *sender) sendStream(prefix string, q *request) error {
	b := streamBuffers.Get().(*streamBuffer)
	defer streamBuffers.Put(b)
	start := chunkHead - len(prefix) - len("z") - len(q.verb) - len("\x00")
	n := start + copy(b[start:], prefix)
	b[n] = 'z'
	copy(b[n+1:], q.verb)
	b[chunkHead-1] = 0
	const data = chunkHead + 4
	for {
		n, err := readFull(q.stream, b[data:data+chunkData])
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading the object: %w", err)
		}
		binary.BigEndian.PutUint32(b[chunkHead:], uint32(n))
		end := data + n
		if err == io.EOF && n > 0 {
			end += copy(b[end:], "\x00\x00\x00\x00")
		}
		s.whole = err == io.EOF
		s.object += int64(n)
		if err := s.write(b[start:end]); err != nil {
			s.object -= int64(n)
			return err
		}
		if err == io.EOF {
			return nil
		}
		start = chunkHead
	}
}

// readFull fills p. Unlike io.ReadFull it returns what r returns: io.ErrUnexpectedEOF,
// from a truncated upload for example, is never mistaken for the end of the object.
func readFull(r io.Reader, p []byte) (n int, err error) {
	for empty := 0; n < len(p) && err == nil; {
		var m int
		m, err = r.Read(p[n:])
		if m < 0 || m > len(p)-n {
			return n, fmt.Errorf("reader returned a count of %d", m)
		}
		n += m
		if empty++; m > 0 {
			empty = 0
		}
		if empty == 100 && err == nil {
			err = io.ErrNoProgress
		}
	}
	return n, err
}

// sendFile sends p, the command and the dummy byte, with the descriptor in one sendmsg.
// clamd 1.4.6 rejects a descriptor that comes with the command alone, and leaks
// descriptors that come in pairs.
func (s *sender) sendFile(p []byte, q *request) error {
	uc, ok := s.link.nc.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("%w: the connection is not a Unix socket", ErrDescriptor)
	}
	if q.readable {
		s.out, s.unix, s.fd = p, uc, q.fd
		return s.checked()
	}
	raw, err := q.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	var unfit, sent error
	err = raw.Control(func(fd uintptr) {
		if unfit = checkDescriptor(int(fd)); unfit != nil {
			return
		}
		s.out, s.unix, s.fd = p, uc, int(fd)
		sent = s.checked()
	})
	if err := errors.Join(err, unfit); err != nil {
		return fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	return sent
}

// checkDescriptor returns an error if fd cannot be scanned: clamd 1.4.6 answers OK for a
// descriptor that cannot be read (O_WRONLY, O_PATH).
func checkDescriptor(fd int) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&syscall.S_IFMT != syscall.S_IFREG {
		return fmt.Errorf("not a regular file")
	}
	_, err := syscall.Pread(fd, nil, 0)
	return os.NewSyscallError("pread", err)
}

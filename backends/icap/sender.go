package icap

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"polyclam/backends"
)

// bufferSize holds one chunk with what surrounds it, in front of the first also the
// headers.
const bufferSize = 32 << 10

// sender writes a request while the answer may be coming.
type sender struct {
	w    io.Writer
	buf  *[bufferSize]byte
	q    *request
	off  int64         // bytes of the content written
	done chan struct{} // closed when no write is under way
	err  error         // of the last write; read after done

	// whole is set when the last of the content, with the end of the body, is about
	// to be written: an answer before that is not about the whole content. A server
	// may answer before the write has returned.
	whole atomic.Bool
	// ending is the same for what start was called for.
	ending atomic.Bool
}

// contentError is a content that could not be read.
type contentError struct{ err error }

func (e *contentError) Error() string { return e.err.Error() }

// start writes in a goroutine: what is before the body, the body up to the offset,
// and its end. On a content that cannot be read it calls abort, and the body has no
// end then.
func (s *sender) start(before string, upto int64, end string, abort func()) {
	s.done = make(chan struct{})
	s.ending.Store(false)
	go func() {
		defer close(s.done)
		s.err = s.write(before, upto, end)
		if s.failed() != nil {
			abort()
		}
	}()
}

func (s *sender) write(before string, upto int64, end string) error {
	if len(before) > bufferSize/2 {
		return errors.New("the headers are too long")
	}
	n := copy(s.buf[:], before)
	for s.off < upto {
		var err error
		if n, err = s.chunk(n, upto); err != nil {
			return err
		}
		if s.off == upto {
			break // goes with the end
		}
		if _, err := s.w.Write(s.buf[:n]); err != nil {
			return err
		}
		n = 0
	}
	n += copy(s.buf[n:], end)
	s.ending.Store(true)
	if s.off == s.q.size {
		s.whole.Store(true)
	}
	_, err := s.w.Write(s.buf[:n])
	return err
}

// chunk appends a chunk to the n bytes in the buffer.
func (s *sender) chunk(n int, upto int64) (int, error) {
	const around = 8 + 2*len("\r\n") + len(endWhole) // digits, line ends, the end of the body
	size := int(min(upto-s.off, int64(bufferSize-n-around)))
	b := strconv.AppendInt(s.buf[:n], int64(size), 16)
	b = append(b, "\r\n"...)
	n = len(b) + size
	got, err := s.q.content.ReadAt(s.buf[len(b):n], s.off)
	if got < size {
		if err == nil || err == io.EOF {
			err = fmt.Errorf("it ends after %d of %d bytes", s.off+int64(got), s.q.size)
		}
		return 0, &contentError{err}
	}
	s.off += int64(size)
	return n + copy(s.buf[n:], "\r\n"), nil
}

// failed is the error of our own side, if there is one. Call it after done. It hides
// the cause from [backends.CategoryOf]: that a file of ours does not exist does not
// mean that the engine does not.
func (s *sender) failed() error {
	var content *contentError
	if errors.As(s.err, &content) {
		return unreadable(content.err)
	}
	return nil
}

func unreadable(err error) error {
	return &backends.Failure{Category: backends.SWErr, Code: backends.NoCode, Text: "content: " + err.Error()}
}

// grace is how long the last write may take when the answer is there.
const grace = time.Second

// taken reports whether the server took all that was to be written. It waits a
// moment for the last write to return.
func (s *sender) taken() bool {
	if s.ending.Load() && !s.isDone() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-s.done:
		case <-timer.C:
		}
	}
	return s.isDone() && s.err == nil
}

// finish ends the writing, by abort if the server does not take it, and reports
// whether all was taken.
func (s *sender) finish(abort func()) bool {
	taken := s.taken()
	if !s.isDone() {
		abort()
		<-s.done
	}
	return taken
}

func (s *sender) isDone() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

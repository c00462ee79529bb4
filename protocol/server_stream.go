package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ErrStreamLimit: the length of a chunk exceeds what is left of the limit.
var ErrStreamLimit = errors.New("protocol: stream size limit exceeded")

// Errors of a stream that violates its [Pace]. They wrap os.ErrDeadlineExceeded.
var (
	ErrStreamSlow = fmt.Errorf("protocol: stream slower than its minimum rate: %w", os.ErrDeadlineExceeded)
	ErrStreamLong = fmt.Errorf("protocol: stream exceeded its maximum time: %w", os.ErrDeadlineExceeded)
)

// A Pace is how fast a stream must arrive. The zero Pace allows any speed.
type Pace struct {
	// MinRate is in bytes per second. It is measured over periods as long as the stream's
	// timeout, and only while waiting for the client, not for the writer.
	MinRate int64
	MaxTime time.Duration // for the whole stream, the writer's time included
}

// WriteError is returned by Stream.WriteTo when the writer failed, as opposed to the
// connection.
type WriteError struct{ Err error }

// Error implements error.
func (e *WriteError) Error() string { return "protocol: storing the stream: " + e.Err.Error() }

// Unwrap returns the writer's error.
func (e *WriteError) Unwrap() error { return e.Err }

// Stream reads the chunks that follow one INSTREAM command. Use it once, in one
// goroutine. Nothing else may read from the Conn at the same time.
type Stream struct {
	c       *Conn
	limit   int64         // bytes left for further chunks; negative: no limit
	timeout time.Duration // for each piece of data, as clamd's ReadTimeout
	end     time.Time     // when Drain gives up; zero before Drain
	head    [4]byte
	headLen int
	left    int64 // bytes of the current chunk still to come
	fast    bool  // the last receive brought much data
	pace    pace
	done    bool // the end marker has been read
	over    bool // the current chunk exceeds the limit
}

// Stream returns a reader for the stream that follows. A limit of 0 means none. The
// timeout, which must be positive, applies to every piece of data.
func (c *Conn) Stream(limit int64, timeout time.Duration) *Stream {
	if limit == 0 {
		limit = -1
	}
	return &Stream{c: c, limit: limit, timeout: timeout}
}

// WriteTo copies the stream to w up to the chunk of length zero, and leaves what follows
// unread. It returns [ErrStreamLimit] at the length of the chunk that exceeds the limit,
// before its data, as clamd does; a *[WriteError] when w fails; and io.ErrUnexpectedEOF
// when the client closes before the end.
//
// It never allocates what a length announces: data passes through a pooled buffer of
// fixed size, and a client that stalls holds none. Descriptors that arrive in the middle
// of a stream are closed; clamd 1.4.6 leaks them.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	s.c.reading.Lock()
	defer s.c.endRead()
	if s.over {
		return 0, ErrStreamLimit
	}
	return s.copy(w)
}

func (s *Stream) copy(w io.Writer) (int64, error) {
	var total int64
	for !s.done {
		for s.left > 0 {
			n, err := s.piece(w)
			total += n
			if err != nil {
				return total, err
			}
		}
		if err := s.header(); err != nil {
			return total, err
		}
	}
	s.c.expire(s.c.off)
	return total, nil
}

// header reads a chunk's length.
func (s *Stream) header() error {
	for s.headLen < len(s.head) {
		if err := s.fill(); err != nil {
			return err
		}
		n := copy(s.head[s.headLen:], s.c.seg.b[s.c.r:s.c.w])
		s.headLen += n
		s.c.consume(n)
	}
	s.headLen = 0
	s.left = int64(binary.BigEndian.Uint32(s.head[:]))
	s.done = s.left == 0
	if s.limit >= 0 {
		if s.left > s.limit {
			s.over = true
			return ErrStreamLimit
		}
		s.limit -= s.left
	}
	return nil
}

// Excess returns the length of the chunk for which WriteTo returned ErrStreamLimit. It is
// valid until Drain is called.
func (s *Stream) Excess() int64 {
	if !s.over {
		return 0
	}
	return s.left
}

// piece writes what has arrived of the current chunk to w.
func (s *Stream) piece(w io.Writer) (int64, error) {
	if err := s.fill(); err != nil {
		return 0, err
	}
	c := s.c
	p := c.seg.b[c.r:c.w]
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return int64(n), &WriteError{err}
	}
	s.left -= int64(n)
	c.consume(n)
	return int64(n), nil
}

// fill waits for at least one byte.
func (s *Stream) fill() error {
	c := s.c
	if c.w > c.r {
		return nil
	}
	c.closeDescriptors()
	now := time.Now()
	deadline := now.Add(s.timeout)
	if !s.end.IsZero() && deadline.After(s.end) {
		deadline = s.end
	}
	err := s.receive(now, deadline)
	s.fast = c.w-c.r >= smallSegment
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// receive waits for a byte until deadline, and no longer than the pace allows.
func (s *Stream) receive(now, deadline time.Time) error {
	for {
		// A net.Pipe whose other end is closed refuses a deadline; Read will return io.EOF.
		if err := s.c.nc.SetReadDeadline(s.pace.deadline(now, deadline)); err != nil && err != io.ErrClosedPipe {
			return err
		}
		err := s.c.fill(s.fast || s.left > smallSegment/2)
		if s.pace == (pace{}) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		before := now
		now = time.Now()
		if slow := s.pace.check(now.Sub(before), s.c.w-s.c.r, now); slow != nil {
			return slow
		}
		if err == nil || !now.Before(deadline) {
			return err
		}
	}
}

// Drain reads and drops the rest of a stream that exceeds the limit or could not be
// stored, up to its end marker. It stops early when the client is silent for quiet, after
// the time total, and after max bytes of data. A client that is still writing then
// reads the reply instead of getting a broken pipe. Drain reports whether it reached the
// end marker.
func (s *Stream) Drain(quiet, total time.Duration, max int64) bool {
	s.c.reading.Lock()
	defer s.c.endRead()
	s.limit, s.timeout, s.end, s.pace = -1, quiet, time.Now().Add(total), pace{}
	_, err := s.copy(&quota{max})
	return err == nil
}

var errQuota = errors.New("protocol: quota used up")

// quota is a writer that drops a limited number of bytes.
type quota struct{ left int64 }

func (q *quota) Write(p []byte) (int, error) {
	q.left -= int64(len(p))
	if q.left < 0 {
		return 0, errQuota
	}
	return len(p), nil
}

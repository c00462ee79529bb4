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

// ErrStreamRests: nothing has arrived for the time given to [Stream.SetRest]. Nothing is lost:
// WriteTo goes on when it is called again, after [Conn.Await], which waits for the remaining
// time that the client has.
var ErrStreamRests = errors.New("protocol: stream rests")

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
	left    int64         // bytes of the current chunk still to come
	pace    pace
	rest    time.Duration // see SetRest; 0: it does not rest
	since   time.Time     // when the wait for the next byte began, or the pace was last checked in it
	waited  time.Duration // for the next byte before since
	head    [4]byte
	headLen int8
	fast    bool // the last receive brought much data
	done    bool // the end marker has been read
	over    bool // the current chunk exceeds the limit
	rested  bool // WriteTo has returned ErrStreamRests, and not gone on
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
	for int(s.headLen) < len(s.head) {
		if err := s.fill(); err != nil {
			return err
		}
		n := copy(s.head[s.headLen:], s.c.seg.b[s.c.r:s.c.w])
		s.headLen += int8(n)
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

// SetRest makes WriteTo return [ErrStreamRests] when nothing has arrived for that long, if
// [Conn.Await] can wait for more.
func (s *Stream) SetRest(after time.Duration) { s.rest = after }

// fill waits for at least one byte.
func (s *Stream) fill() error {
	c := s.c
	if c.w > c.r && !s.rested {
		return nil
	}
	now := time.Now()
	if !s.rested {
		c.closeDescriptors()
		s.since, s.waited = now, 0
	}
	err := s.receive(now)
	s.fast = c.w-c.r >= smallSegment
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// until returns how long the client has for the next byte.
func (s *Stream) until() time.Time {
	end := s.since.Add(s.timeout - s.waited)
	if !s.end.IsZero() && end.After(s.end) {
		return s.end
	}
	return end
}

// receive waits for a byte for as long as the client has for it, and no longer than the pace
// allows.
func (s *Stream) receive(now time.Time) error {
	for {
		rests, err := s.wait(now)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) || err == nil && s.pace == (pace{}) {
			return err
		}
		now = time.Now()
		waited := now.Sub(s.since)
		if slow := s.pace.check(waited, s.c.w-s.c.r, now); slow != nil {
			return slow
		}
		s.since, s.waited = now, s.waited+waited
		if err == nil || !now.Before(s.until()) {
			return err
		}
		if rests {
			s.rested = true
			if err := s.c.nc.SetReadDeadline(s.pace.deadline(now, s.until())); err != nil {
				return err
			}
			return ErrStreamRests
		}
	}
}

// wait waits for a byte, or until the pace has to be checked. rests reports that
// the stream may rest if nothing came.
func (s *Stream) wait(now time.Time) (rests bool, err error) {
	c := s.c
	if s.rested { // and Await has waited
		s.rested = false
		if c.w > c.r {
			return false, nil
		}
		return false, c.fill(false)
	}
	deadline := s.pace.deadline(now, s.until())
	if s.rest > 0 && c.direct {
		if soon := now.Add(s.rest); soon.Before(deadline) {
			deadline, rests = soon, true
		}
	}
	// A net.Pipe whose other end is closed refuses a deadline; Read will return io.EOF.
	if err := c.nc.SetReadDeadline(deadline); err != nil && err != io.ErrClosedPipe {
		return false, err
	}
	return rests, c.fill(s.fast || s.left > smallSegment/2)
}

// Drain reads and drops the rest of a stream that exceeds the limit or could not be
// stored, up to its end marker. It stops early when the client is silent for quiet, after
// the time total, and after max bytes of data. A client that is still writing then
// reads the reply instead of getting a broken pipe. Drain reports whether it reached the
// end marker.
func (s *Stream) Drain(quiet, total time.Duration, max int64) bool {
	s.c.reading.Lock()
	defer s.c.endRead()
	s.limit, s.timeout, s.end, s.pace, s.rest = -1, quiet, time.Now().Add(total), pace{}, 0
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

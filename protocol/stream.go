package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ErrStreamLimit: a chunk's header announces more than the stream may still have,
// or more came over a data connection.
var ErrStreamLimit = errors.New("protocol: stream size limit exceeded")

// Errors of a stream that does not keep its [Pace]. They wrap os.ErrDeadlineExceeded.
var (
	ErrStreamSlow = fmt.Errorf("protocol: stream slower than its lowest rate: %w", os.ErrDeadlineExceeded)
	ErrStreamLong = fmt.Errorf("protocol: stream longer than its longest time: %w", os.ErrDeadlineExceeded)
)

// A Pace bounds how slowly a stream may come. The zero Pace bounds nothing.
type Pace struct {
	// MinRate is the lowest rate in bytes a second, over each timeout of the stream
	// spent waiting for the client: what the writer takes does not count.
	MinRate int64
	MaxTime time.Duration // for the whole stream, the writer's time included
}

// WriteError is returned by Stream.WriteTo when the writer failed, to tell that
// from the connection's errors.
type WriteError struct{ Err error }

// Error implements error.
func (e *WriteError) Error() string { return "protocol: keeping the stream: " + e.Err.Error() }

// Unwrap returns the writer's error.
func (e *WriteError) Unwrap() error { return e.Err }

// Stream reads the chunks behind one INSTREAM command, or the bare content of a data
// connection. It is used once, by one goroutine, and nothing else may read from the
// Conn meanwhile.
type Stream struct {
	c       *Conn
	port    *DataPort     // that c came in by; nil: the content is in chunks
	limit   int64         // bytes the stream may still have; negative: no limit
	timeout time.Duration // for each piece of data, as clamd's ReadTimeout
	end     time.Time     // when Drain gives up; zero before
	head    [4]byte
	headLen int
	left    int64 // bytes of the current chunk still to come
	brisk   bool  // the last receive brought much
	pace    pace
	done    bool // the end marker has been read
	over    bool // the current chunk goes over the limit
}

// Stream returns the reader of the stream that follows. A limit of 0 is none. The
// timeout runs anew with every piece of data; it must be positive.
func (c *Conn) Stream(limit int64, timeout time.Duration) *Stream {
	if limit == 0 {
		limit = -1
	}
	return &Stream{c: c, limit: limit, timeout: timeout}
}

// WriteTo copies the content to w until the chunk of length zero, and leaves what
// follows unread. It returns ErrStreamLimit at the header of the chunk that goes
// over the limit, before its data, as clamd does; a *WriteError when w fails; and
// io.ErrUnexpectedEOF when the client closes before the end. See [DataPort.Accept]
// for a data connection.
//
// What a header says is never an amount to allocate: data passes through a pooled
// buffer of fixed size, and a client that stalls holds none. Descriptors that come
// in the middle of a stream are closed; clamd 1.4.6 leaks them.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	s.c.reading.Lock()
	defer s.c.endRead()
	if s.over {
		return 0, ErrStreamLimit
	}
	n, err := s.copy(w)
	if s.port != nil {
		err = s.port.ended(err)
	}
	return n, err
}

func (s *Stream) copy(w io.Writer) (int64, error) {
	if s.port != nil {
		return s.copyBare(w)
	}
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

// copyBare copies what comes until the other end closes.
func (s *Stream) copyBare(w io.Writer) (int64, error) {
	var total int64
	for {
		switch err := s.fill(); {
		case err == io.ErrUnexpectedEOF:
			return total, nil
		case err != nil:
			return total, err
		}
		s.left = int64(s.c.w - s.c.r)
		if s.limit >= 0 {
			if s.left > s.limit {
				s.over = true
				return total, ErrStreamLimit
			}
			s.limit -= s.left
		}
		n, err := s.piece(w)
		total += n
		if err != nil {
			return total, err
		}
	}
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

// piece passes on what is there of the current chunk.
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

// fill makes sure that a byte is there.
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
	s.brisk = c.w-c.r >= smallSegment
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// receive waits for a byte until deadline, and no longer than the pace allows.
func (s *Stream) receive(now, deadline time.Time) error {
	for {
		// A net.Pipe whose other end is closed takes no deadline; its Read says io.EOF.
		if err := s.c.nc.SetReadDeadline(s.pace.deadline(now, deadline)); err != nil && err != io.ErrClosedPipe {
			return err
		}
		err := s.c.fill(s.brisk || s.left > smallSegment/2)
		if s.pace == (pace{}) || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		before := now
		now = time.Now()
		if slow := s.pace.kept(now.Sub(before), s.c.w-s.c.r, now); slow != nil {
			return slow
		}
		if err == nil || !now.Before(deadline) {
			return err
		}
	}
}

// Drain reads and drops the rest of a stream that is over the limit or could not
// be kept, up to its end marker, as long as data keeps coming: until the client is
// silent for quiet, or the whole has taken total or max bytes of content. A client
// that is still writing then finds the reply instead of a broken pipe. It reports
// whether the end marker was reached.
func (s *Stream) Drain(quiet, total time.Duration, max int64) bool {
	s.c.reading.Lock()
	defer s.c.endRead()
	s.limit, s.timeout, s.end, s.pace = -1, quiet, time.Now().Add(total), pace{}
	_, err := s.copy(&quota{max})
	return err == nil
}

var errQuota = errors.New("protocol: enough")

// quota drops what it is given until its bytes are used up.
type quota struct{ left int64 }

func (q *quota) Write(p []byte) (int, error) {
	q.left -= int64(len(p))
	if q.left < 0 {
		return 0, errQuota
	}
	return len(p), nil
}

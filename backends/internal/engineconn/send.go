package engineconn

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"polyclam/backends"
)

// errStray means that input arrived on a reused connection before the request was
// complete, so it answers an earlier request.
var errStray = errors.New("unexpected input before the request was complete: an answer to an earlier one")

// Command sends a request without an object. Unsolicited input is an error.
func (c *Conn) Command(text string) error {
	c.begin("waiting for the answer")
	if err := c.checkSilent(); err != nil {
		return err
	}
	_, err := io.WriteString(c.nc, text)
	c.trace.Write(text)
	c.trace.Sent(err)
	if err != nil {
		return c.Lost(err)
	}
	return nil
}

// WriteUnchecked sends text at any point of an answer and ignores errors: if the engine
// did not accept it, the rest of the answer shows that.
func (c *Conn) WriteUnchecked(text string) {
	_, err := io.WriteString(c.nc, text)
	c.trace.Write(text)
	c.trace.Sent(err)
}

// checkSilent returns an error if there is input before a request, or if the connection
// has ended. It accepts any new TLS connection, because the input may be TLS's own
// messages, which only a read consumes.
func (c *Conn) checkSilent() error {
	if _, ok := c.nc.(tlsConn); ok && !c.reused || c.isSilent() {
		return nil
	}
	if c.reused {
		return errStray
	}
	if _, err := c.r.Peek(1); err != nil {
		return c.Lost(err)
	}
	return fmt.Errorf("unexpected input before the request: %.100q", c.Pending())
}

// begin starts a request.
func (c *Conn) begin(step string) {
	c.trace.Received()
	c.replied, c.lines, c.step = false, 0, step
}

// Send sends a request with an object: write writes all of it to w. Send holds back the
// last bytes until it has checked that the connection is silent. An answer that has begun
// by then is early (see [Conn.IsEarly]): Send stops, the answer can be read, and the
// connection is not kept. On a reused connection such an answer is stray: Send returns an
// error, and [Client] tries a new connection.
//
// An engine that answers early and stops reading does not block Send. After a request
// that does not fit into one buffer, Send waits for the first byte of the answer or the
// end of the context.
//
// What write passes to [io.WriteString] belongs to the protocol and may be traced; all
// other bytes count as the object's.
//
// If write returns a [backends.ObjectError], Send closes the connection.
func (c *Conn) Send(write func(w io.Writer) error) error {
	c.begin("sending the object")
	return c.send(write)
}

// SendAccepted is Send for the second part of a request, after the engine has accepted
// the first. Since the answer has begun, a lost connection is never
// [backends.ErrNoReply].
func (c *Conn) SendAccepted(write func(w io.Writer) error) error {
	c.lines, c.step = 0, "sending the object"
	return c.send(write)
}

func (c *Conn) send(write func(w io.Writer) error) error {
	if err := c.checkSilent(); err != nil {
		return err
	}
	s := sender{c: c, mark: c.sock.mark(), buf: buffers.Get().(*[bufferSize]byte)}
	defer buffers.Put(s.buf)
	if _, ok := c.nc.(tlsConn); ok {
		s.watch() // only a read can distinguish an answer from TLS's own messages
	}
	err := write(&s)
	if err == nil {
		err = s.finish()
	}
	err = s.end(err)
	c.trace.Sent(err)
	return err
}

// bufferSize is the most that is held back, and the size of each write.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// sender is the writing side of one Send.
type sender struct {
	c        *Conn
	mark     int64 // of the socket, before the request
	buf      *[bufferSize]byte
	n        int           // bytes held back
	answered chan struct{} // closed at the first input or its end; nil without watch
}

// errAnswered ends the writing because an answer has begun.
var errAnswered = errors.New("the engine has answered")

// Write implements [io.Writer] for the bytes of the object.
func (s *sender) Write(p []byte) (int, error) {
	s.c.trace.WriteObject(int64(len(p)))
	return add(s, p)
}

// WriteString implements [io.StringWriter] for the text around the object.
func (s *sender) WriteString(text string) (int, error) {
	s.c.trace.Write(text)
	return add(s, text)
}

// add sends p, but always holds back at least the last byte.
func add[T []byte | string](s *sender, p T) (int, error) {
	total := len(p)
	for len(p) > 0 {
		if s.n == bufferSize {
			s.watch()
			if err := s.flush(); err != nil {
				return 0, err
			}
		}
		k := copy(s.buf[s.n:], p)
		s.n += k
		p = p[k:]
	}
	return total, nil
}

// watch starts a goroutine that waits for the first byte of the answer, so that an engine
// that answers and stops reading does not block the writing.
func (s *sender) watch() {
	if s.answered != nil {
		return
	}
	s.answered = make(chan struct{})
	go func() {
		defer close(s.answered)
		s.c.r.Peek(1)                            // or the end, which the next read returns again
		s.c.nc.SetWriteDeadline(time.Unix(1, 0)) // ends a write in progress
	}()
}

func (s *sender) flush() error {
	_, err := s.c.nc.Write(s.buf[:s.n])
	s.n = 0
	return answered(err)
}

// answered returns err, or errAnswered if watch ended the write.
func answered(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errAnswered
	}
	return err
}

// finish sends the bytes held back if the engine has not answered.
func (s *sender) finish() error {
	if !s.silent() {
		if err := s.c.sock.closed(); err != nil {
			return err // the context ended, not the engine
		}
		return errAnswered
	}
	s.c.step = "waiting for the answer"
	_, err := s.c.nc.Write(s.buf[:s.n])
	return answered(err)
}

// silent reports whether no answer has begun.
func (s *sender) silent() bool {
	if _, ok := s.c.nc.(tlsConn); !ok {
		return s.c.sock.silent(s.mark)
	}
	// The input may be one of TLS's own messages, such as a session ticket. Give the
	// reading goroutine time to consume it.
	for range 1000 {
		if s.hasAnswered() {
			return false
		}
		if s.c.sock.silent(s.c.sock.mark()) {
			return true
		}
		runtime.Gosched()
		time.Sleep(50 * time.Microsecond)
	}
	return false
}

func (s *sender) hasAnswered() bool {
	select {
	case <-s.answered:
		return true
	default:
		return false
	}
}

// end waits for the reading goroutine and returns the outcome of Send.
func (s *sender) end(err error) error {
	c := s.c
	var object *backends.ObjectError
	if errors.As(err, &object) {
		c.Close()
	}
	if s.answered != nil {
		<-s.answered
		c.nc.SetWriteDeadline(time.Time{})
	}
	switch {
	case err == nil:
		return nil
	case object != nil:
		return err
	case errors.Is(err, errAnswered), IsHangup(err) && c.hasInput():
		if c.reused {
			return errStray
		}
		// The engine may have sent the reason before it stopped reading.
		c.early, c.noReuse = true, true
		return nil
	}
	return c.Lost(err)
}

// hasInput reports whether a byte can be read.
func (c *Conn) hasInput() bool {
	_, err := c.r.Peek(1)
	return err == nil
}

// Object writes the bytes [from, to) of an object. If the object cannot be read or is
// shorter than its size, the error is a [backends.ObjectError]; any other error is w's.
func Object(w io.Writer, o io.ReaderAt, from, to int64) error {
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	for off := from; off < to; {
		p := buffer[:min(int64(len(buffer)), to-off)]
		n, err := o.ReadAt(p, off)
		if n < len(p) {
			if err == nil || err == io.EOF {
				err = fmt.Errorf("it ends after %d of %d bytes", off+int64(n), to)
			}
			return &backends.ObjectError{Doing: "reading the object", Err: err}
		}
		if _, err := w.Write(p); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

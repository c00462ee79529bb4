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

// errStray is input that came before its request was complete, on a connection that
// served an earlier dialogue: it answers something else.
var errStray = errors.New("unexpected input before the request was complete: an answer to an earlier one")

// Command sends a request without an object. Unsolicited input is an error.
func (c *Conn) Command(text string) error {
	c.begin("waiting for the answer")
	if err := c.silence(); err != nil {
		return err
	}
	if _, err := io.WriteString(c.nc, text); err != nil {
		return c.Lost(err)
	}
	return nil
}

// Nudge sends text in the middle of an answer. An engine that does not take it shows
// in how the answer goes on.
func (c *Conn) Nudge(text string) { io.WriteString(c.nc, text) }

// silence is an error if there is input before a request. Where that is the end of
// the connection it is that error. A new TLS connection may have messages of TLS
// itself waiting, which only reading for an answer gets out of the way.
func (c *Conn) silence() error {
	if _, ok := c.nc.(secured); ok && !c.reused || c.isSilent() {
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

// begin begins a request.
func (c *Conn) begin(doing string) {
	c.heard, c.lines, c.doing = false, 0, doing
}

// Send sends a request with an object: write writes all of it to w. The last bytes
// are held back until the connection was seen to be silent. An answer that has begun
// by then is early: Send stops, and the answer can be read, but see [Conn.IsEarly];
// the connection is not kept. On a connection that was used before it is a stray
// answer and an error, which makes [Client] ask on a new connection.
//
// An engine that answers early and does not read on does not hold Send up. After a
// request that does not fit into one buffer Send waits for the first byte of the
// answer, which ctx bounds like everything else.
//
// Where write returns a [backends.ObjectError] the connection is closed.
func (c *Conn) Send(write func(w io.Writer) error) error {
	c.begin("sending the object")
	return c.send(write)
}

// SendAccepted is Send for the second part of a request that the engine has agreed to
// receive. If the connection then ends, the answer has begun already.
func (c *Conn) SendAccepted(write func(w io.Writer) error) error {
	c.lines, c.doing = 0, "sending the object"
	return c.send(write)
}

func (c *Conn) send(write func(w io.Writer) error) error {
	if err := c.silence(); err != nil {
		return err
	}
	s := sender{c: c, mark: c.sock.mark(), buf: buffers.Get().(*[bufferSize]byte)}
	defer buffers.Put(s.buf)
	if _, ok := c.nc.(secured); ok {
		s.watch() // only a read shows whether what arrives is an answer
	}
	err := write(&s)
	if err == nil {
		err = s.finish()
	}
	return s.end(err)
}

// bufferSize is how much is held back at most, and written at a time.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// sender is the writing side of one Send.
type sender struct {
	c        *Conn
	mark     int64 // of the socket, before the request
	buf      *[bufferSize]byte
	n        int           // bytes held back
	answered chan struct{} // closed at the first input or its end; nil: no goroutine reads
}

// errAnswered ends the writing: an answer is there.
var errAnswered = errors.New("the engine has answered")

// Write implements [io.Writer]. It always holds back at least the last byte.
func (s *sender) Write(p []byte) (int, error) {
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

// watch lets a goroutine wait for the first byte of the answer, so that an engine
// that answers and reads no further does not block the writing.
func (s *sender) watch() {
	if s.answered != nil {
		return
	}
	s.answered = make(chan struct{})
	go func() {
		defer close(s.answered)
		s.c.r.Peek(1)                            // or the end, which the next read meets again
		s.c.nc.SetWriteDeadline(time.Unix(1, 0)) // ends a write under way
	}()
}

func (s *sender) flush() error {
	_, err := s.c.nc.Write(s.buf[:s.n])
	s.n = 0
	return answered(err)
}

// answered is err, or errAnswered for a write that watch has ended.
func answered(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errAnswered
	}
	return err
}

// finish sends what was held back, if the engine is silent until now.
func (s *sender) finish() error {
	if !s.silent() {
		if err := s.c.sock.closed(); err != nil {
			return err // by the end of the context; the engine has said nothing
		}
		return errAnswered
	}
	s.c.doing = "waiting for the answer"
	_, err := s.c.nc.Write(s.buf[:s.n])
	return answered(err)
}

// silent reports whether no answer has begun.
func (s *sender) silent() bool {
	if _, ok := s.c.nc.(secured); !ok {
		return s.c.sock.silent(s.mark)
	}
	// What has arrived may be a message of TLS itself, such as a session ticket: let
	// the reader have it.
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

// end waits for the goroutine that reads and says what the sending came to.
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
	case errors.Is(err, errAnswered), IsHangup(err) && c.peeks():
		if c.reused {
			return errStray
		}
		// It may have said why before it stopped reading.
		c.early, c.spoiled = true, true
		return nil
	}
	return c.Lost(err)
}

// peeks reports whether there is something to read.
func (c *Conn) peeks() bool {
	_, err := c.r.Peek(1)
	return err == nil
}

// Object writes the bytes [from, to) of an object. An object that cannot be read, or
// that is shorter than its size, is a [backends.ObjectError]; any other error is w's.
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

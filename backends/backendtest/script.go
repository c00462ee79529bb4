package backendtest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// Words are bytes that one side of a dialogue sends, with their source, so that a reader
// can distinguish recorded behaviour from assumptions.
type Words struct {
	Text   string
	Source string // empty: composed
}

// Recorded returns text that a real engine or client sent; source names it, for example
// "clamd 1.4.6".
func Recorded(source, text string) Words { return Words{text, source} }

// Composed returns text that was written for a test.
func Composed(text string) Words { return Words{Text: text} }

// String returns the words quoted, with their source.
func (w Words) String() string {
	if w.Source == "" {
		return fmt.Sprintf("%q (composed)", w.Text)
	}
	return fmt.Sprintf("%q (recorded: %s)", w.Text, w.Source)
}

// Script is what a [Daemon] does with one connection, step by step. After the
// last step the connection is closed.
type Script []Step

// Step is one step of a [Script].
type Step func(s *Session) error

// Session is the connection that a script plays on.
type Session struct {
	net.Conn
	Done <-chan struct{} // closed when the test ends
}

// errMismatch fails the test. Any other error of a step only ends the script, because a
// peer may close its connection at any time.
var errMismatch = errors.New("the peer sent something else")

func (s Script) play(tb testing.TB, c *Session) {
	for i, step := range s {
		err := step(c)
		if errors.Is(err, errMismatch) {
			tb.Errorf("step %d of the daemon's script: %v", i+1, err)
		}
		if err != nil {
			return
		}
	}
}

// Want reads exactly the words; anything else fails the test.
func Want(w Words) Step {
	return func(s *Session) error {
		got := make([]byte, len(w.Text))
		n, err := io.ReadFull(s, got)
		if n > 0 && string(got[:n]) != w.Text[:n] {
			return fmt.Errorf("%w: want %v, got %q", errMismatch, w, got[:n])
		}
		return err
	}
}

// WantUntil reads up to and including the byte end, at most limit bytes, and fails the
// test if ok is not nil and rejects them.
func WantUntil(end byte, limit int, ok func(line string) bool) Step {
	return func(s *Session) error {
		var line []byte
		for one := make([]byte, 1); len(line) < limit; {
			if _, err := io.ReadFull(s, one); err != nil {
				return err
			}
			line = append(line, one[0])
			if one[0] == end {
				break
			}
		}
		if ok != nil && !ok(string(line)) {
			return fmt.Errorf("%w: %q", errMismatch, line)
		}
		return nil
	}
}

// Discard reads and ignores n bytes.
func Discard(n int64) Step {
	return func(s *Session) error {
		_, err := io.CopyN(io.Discard, s, n)
		return err
	}
}

// Drain reads until the peer closes.
func Drain() Step {
	return func(s *Session) error {
		_, err := io.Copy(io.Discard, s)
		return err
	}
}

// Send sends the words in one write.
func Send(w Words) Step {
	return func(s *Session) error {
		_, err := io.WriteString(s, w.Text)
		return err
	}
}

// SendSplit sends the words in writes of n bytes with short pauses, so that the peer
// receives them in pieces.
func SendSplit(w Words, n int) Step {
	return func(s *Session) error {
		for text := w.Text; text != ""; text = text[min(n, len(text)):] {
			if _, err := io.WriteString(s, text[:min(n, len(text))]); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	}
}

// Flood sends the words repeatedly until the peer closes or the test ends.
func Flood(w Words) Step {
	return func(s *Session) error {
		for {
			if _, err := io.WriteString(s, w.Text); err != nil {
				return err
			}
		}
	}
}

// Sleep waits, but no longer than until the test ends.
func Sleep(d time.Duration) Step {
	return func(s *Session) error {
		select {
		case <-s.Done:
			return net.ErrClosed
		case <-time.After(d):
			return nil
		}
	}
}

// Wait waits until the channel is closed or the test ends.
func Wait(c <-chan struct{}) Step {
	return func(s *Session) error {
		select {
		case <-s.Done:
			return net.ErrClosed
		case <-c:
			return nil
		}
	}
}

// Hang sends nothing more until the test ends.
func Hang() Step {
	return func(s *Session) error {
		<-s.Done
		return net.ErrClosed
	}
}

// CloseWrite closes the daemon's half of the connection; the peer may go on sending.
func CloseWrite() Step {
	return func(s *Session) error {
		c, ok := s.inner().(interface{ CloseWrite() error })
		if !ok {
			return errors.ErrUnsupported
		}
		return c.CloseWrite()
	}
}

// Close closes the connection. If there are unread bytes, the kernel sends a reset.
func Close() Step {
	return func(s *Session) error { return s.Close() }
}

// Reset resets a TCP connection, and closes any other one.
func Reset() Step {
	return func(s *Session) error {
		if c, ok := s.inner().(*net.TCPConn); ok {
			if err := c.SetLinger(0); err != nil {
				return err
			}
		}
		return s.Close()
	}
}

func (s *Session) inner() net.Conn {
	if r, ok := s.Conn.(*recorded); ok {
		return r.Conn
	}
	return s.Conn
}

package protocol

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
)

// TestSessionLateReply checks that a second reply, which arrives after the first was
// returned, is noticed before the next request.
func TestSessionLateReply(t *testing.T) {
	more, sent := make(chan bool), make(chan bool)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		readZ(nc)
		io.WriteString(nc, "1: PONG\x00")
		<-more
		io.WriteString(nc, "1: PONG\x00")
		sent <- true
		io.Copy(io.Discard, nc)
	})
	s := openSession(t, c)
	if err := s.Ping(testContext(t)); err != nil {
		t.Fatal(err)
	}
	more <- true
	<-sent
	if s.Usable() {
		t.Error("usable although a stray reply arrived")
	}
}

// TestSessionContext checks that the end of one request's context ends the session for
// all, and that END is sent if no request is cut in two.
func TestSessionContext(t *testing.T) {
	cause := errors.New("called off")
	rest := make(chan string, 1)
	got := make(chan bool)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		for range 2 {
			readZ(nc)
			readChunks(nc)
		}
		got <- true
		b, _ := io.ReadAll(nc)
		rest <- string(b)
	})
	s := openSession(t, c)
	other := make(chan error, 1)
	go func() {
		_, err := s.Instream(testContext(t), strings.NewReader("other"))
		other <- err
	}()
	ctx, cancel := context.WithCancelCause(t.Context())
	mine := make(chan error, 1)
	go func() {
		_, err := s.Instream(ctx, strings.NewReader("x"))
		mine <- err
	}()
	<-got
	// The server may have read the last byte before the sender knows that it is sent.
	for sending := true; sending; runtime.Gosched() {
		s.mu.Lock()
		sending = s.sending != nil
		s.mu.Unlock()
	}
	cancel(cause)
	if err := <-mine; !errors.Is(err, cause) {
		t.Errorf("mine: %v", err)
	}
	if err := <-other; err == nil {
		t.Error("the other request survived")
	}
	if b := <-rest; b != "zEND\x00" {
		t.Errorf("the server got %q", b)
	}
}

func TestSessionContextInTheMiddle(t *testing.T) {
	rest := make(chan string, 1)
	c := playServer(t, "unix", func(nc net.Conn) {
		b, _ := io.ReadAll(nc)
		rest <- string(b[max(0, len(b)-5):])
	})
	s := openSession(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	r := io.MultiReader(io.LimitReader(zeros{}, 1<<20), readerFunc(func(p []byte) (int, error) {
		cancel()
		clear(p)
		return len(p), nil
	}))
	if _, err := s.Instream(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if b := <-rest; strings.Contains(b, "END") {
		t.Errorf("END in the middle of a stream: %q", b)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestSessionObjectFails checks that a read error ends the session without an end marker.
func TestSessionObjectFails(t *testing.T) {
	whole := make(chan bool, 1)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		readZ(nc)
		_, ok := readChunks(nc)
		whole <- ok
	})
	s := openSession(t, c)
	broken := errors.New("broken")
	r := io.MultiReader(strings.NewReader("x"), readerFunc(func([]byte) (int, error) { return 0, broken }))
	if _, err := s.Instream(testContext(t), r); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if <-whole {
		t.Error("the server received an end marker")
	}
	if _, err := s.Instream(testContext(t), strings.NewReader("x")); !errors.Is(err, broken) {
		t.Errorf("the next request: %v", err)
	}
}

func TestSessionLimitWhileWriting(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		readZ(nc)
		io.WriteString(nc, "1: INSTREAM size limit exceeded. ERROR\x00")
	})
	s := openSession(t, c)
	if _, err := s.Instream(testContext(t), io.LimitReader(zeros{}, 64<<20)); !errors.Is(err, ErrInstreamLimit) {
		t.Errorf("got %v", err)
	}
	if s.Usable() {
		t.Error("usable")
	}
}

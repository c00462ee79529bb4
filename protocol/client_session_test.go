package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func openSession(t *testing.T, c *Client) *ClientSession {
	t.Helper()
	s, err := c.Open(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestSessionOutOfOrder has the server answer many requests in reverse order. Each must
// get its own reply.
func TestSessionOutOfOrder(t *testing.T) {
	const n = 20
	c := playServer(t, "unix", func(nc net.Conn) {
		if cmd := readZ(nc); cmd != "zIDSESSION" {
			t.Errorf("got %q", cmd)
		}
		var replies []string
		for id := 1; id <= n; id++ {
			if cmd := readZ(nc); cmd != "zINSTREAM" {
				t.Errorf("got %q", cmd)
			}
			data, _ := readChunks(nc)
			replies = append(replies, fmt.Sprintf("%d: stream: %s FOUND\x00", id, data))
		}
		for i := range replies {
			io.WriteString(nc, replies[n-1-i])
		}
		if cmd := readZ(nc); cmd != "zEND" {
			t.Errorf("at the end: %q", cmd)
		}
	})
	s := openSession(t, c)
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		go func() {
			defer wg.Done()
			name := "n" + strconv.Itoa(i)
			r, err := s.Instream(testContext(t), strings.NewReader(name))
			if err != nil || r.Text != name || r.ID < 1 || r.ID > n {
				t.Errorf("%s: got %+v, %v", name, r, err)
			}
		}()
	}
	wg.Wait()
	s.Close()
	if _, err := s.Instream(testContext(t), strings.NewReader("x")); !errors.Is(err, errSessionClosed) {
		t.Errorf("after Close: %v", err)
	}
	if s.Usable() {
		t.Error("usable after Close")
	}
}

func TestSessionRequests(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		answers := map[string]string{"zPING": "PONG", "zVERSION": "ClamAV 1.4.6", "zSCAN /p": "/p: OK"}
		readZ(nc)
		for id := 1; ; id++ {
			answer, ok := answers[readZ(nc)]
			if !ok {
				return
			}
			fmt.Fprintf(nc, "%d: %s\x00", id, answer)
		}
	})
	s, ctx := openSession(t, c), testContext(t)
	if err := s.Ping(ctx); err != nil {
		t.Error(err)
	}
	if v, err := s.Version(ctx); err != nil || v != "ClamAV 1.4.6" {
		t.Errorf("%q, %v", v, err)
	}
	if r, err := s.Scan(ctx, "/p"); err != nil || !r.OK() || r.ID != 3 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := s.Scan(ctx, "/p\x00"); !errors.Is(err, ErrPath) {
		t.Errorf("got %v", err)
	}
	if !s.Usable() {
		t.Error("not usable although nothing failed")
	}
	if _, err := s.Scan(ctx, "/other"); !errors.Is(err, ErrNoReply) {
		t.Errorf("got %v", err)
	}
	if s.Usable() {
		t.Error("usable although the server has closed")
	}
}

func TestSessionIrregular(t *testing.T) {
	tests := []struct {
		name, reply string
		want        error
	}{
		{"no id", "stream: OK\x00", ErrReplySyntax},
		{"wrong id", "2: stream: OK\x00", ErrUnexpectedReply},
		{"id zero", "0: stream: OK\x00", ErrReplySyntax},
		{"two", "1: stream: OK\x001: stream: OK\x00", ErrUnexpectedReply},
		{"garbage after it", "1: stream: OK\x00x", ErrUnexpectedReply},
		{"garbage", "HTTP/1.1 400 Bad Request\r\n\r\n\x00", ErrReplySyntax},
		{"timed out", "COMMAND READ TIMED OUT\n", ErrCommandTimeout},
		{"refused", "1: Command invalid inside IDSESSION. ERROR\x00", ErrUnknownCommand},
		{"about a path", "1: /p: OK\x00", ErrReplySyntax},
		{"nothing", "", ErrNoReply},
		{"half", "1: stream: OK", ErrBrokenReply},
		{"no end", strings.Repeat("A", 1<<20), errReplyTooLong},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := playServer(t, "unix", func(nc net.Conn) {
				readZ(nc)
				readZ(nc)
				readChunks(nc)
				io.WriteString(nc, tt.reply)
			})
			s := openSession(t, c)
			if r, err := s.Instream(testContext(t), strings.NewReader("x")); !errors.Is(err, tt.want) {
				t.Fatalf("got %+v, %v", r, err)
			}
			if r, err := s.Instream(testContext(t), strings.NewReader("x")); err == nil {
				t.Errorf("the next request got %+v", r)
			}
		})
	}
}

// TestSessionFildes checks that a descriptor waits for the streams before it.
func TestSessionFildes(t *testing.T) {
	streamed, answer := make(chan bool), make(chan bool)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		readZ(nc)
		readChunks(nc)
		streamed <- true
		<-answer
		io.WriteString(nc, "1: stream: OK\x00")
		cmd, fds := takeDescriptor(nc)
		if cmd != "zFILDES\x00\x00" || len(fds) != 1 {
			t.Errorf("got %q with %d descriptors", cmd, len(fds))
		}
		for _, fd := range fds {
			syscall.Close(fd)
		}
		io.WriteString(nc, "2: fd[5]: OK\x00")
	})
	s := openSession(t, c)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		if r, err := s.Instream(testContext(t), strings.NewReader("x")); err != nil || r.ID != 1 {
			t.Errorf("got %+v, %v", r, err)
		}
	}()
	<-streamed
	wg.Add(1)
	go func() {
		defer wg.Done()
		if r, err := s.Fildes(testContext(t), tempFile(t, "x", os.O_RDONLY)); err != nil || r.ID != 2 {
			t.Errorf("got %+v, %v", r, err)
		}
	}()
	answer <- true
	wg.Wait()
}

func TestSessionWithServerEnd(t *testing.T) {
	c := playServer(t, "unix", func(nc net.Conn) {
		conn := NewConn(nc)
		if cmd, err := conn.ReadCommand(); err != nil || cmd.Verb != VerbIDSession {
			t.Errorf("got %+v, %v", cmd, err)
		}
		cmd, err := conn.ReadCommand()
		if err != nil || cmd.Verb != VerbFildes {
			t.Errorf("got %+v, %v", cmd, err)
			return
		}
		f, err := conn.Descriptor()
		if err != nil {
			t.Error(err)
			return
		}
		f.Close()
		io.WriteString(nc, "1: fd[5]: OK\x00")
		if cmd, err := conn.ReadCommand(); err != nil || cmd.Verb != VerbEnd {
			t.Errorf("got %+v, %v", cmd, err)
		}
	})
	s := openSession(t, c)
	if _, err := s.Fildes(testContext(t), tempFile(t, "x", os.O_RDONLY)); err != nil {
		t.Error(err)
	}
	s.Close()
}

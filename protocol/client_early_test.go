package protocol

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
)

// held is a stream of n bytes. Its last byte is held back until the channel is closed.
type held struct {
	n    int
	last <-chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	if h.n == 0 {
		return 0, io.EOF
	}
	if h.n == 1 {
		<-h.last
	}
	n := min(len(p), max(1, h.n-1))
	clear(p[:n])
	h.n -= n
	return n, nil
}

// streamScans are the ways to scan a stream: on a new connection, and as the first and the
// second request of a session.
var streamScans = []struct {
	name, id string
	before   int // requests before it
	ask      func(*testing.T, *Client, io.Reader) (Reply, error)
}{
	{"alone", "", 0, func(t *testing.T, c *Client, r io.Reader) (Reply, error) { return c.Instream(testContext(t), r) }},
	{"session", "1: ", 0, func(t *testing.T, c *Client, r io.Reader) (Reply, error) {
		return openSession(t, c).Instream(testContext(t), r)
	}},
	{"kept session", "2: ", 1, func(t *testing.T, c *Client, r io.Reader) (Reply, error) {
		s := openSession(t, c)
		if err := s.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
		return s.Instream(testContext(t), r)
	}},
}

// answerBefore plays the server up to the request under test.
func answerBefore(nc net.Conn, id string, before int) {
	if id != "" {
		readZ(nc) // IDSESSION
	}
	for range before {
		readZ(nc)
		io.WriteString(nc, "1: PONG\x00")
	}
}

// TestEarlyReply checks that an OK is refused if the server sends it before the last byte
// of the stream, whether it reads the rest or not.
func TestEarlyReply(t *testing.T) {
	for _, tt := range []struct {
		reply string
		want  error
	}{
		{"stream: OK", ErrEarlyOK},
		{"stream: Eicar FOUND", nil},
		{"INSTREAM size limit exceeded. ERROR", ErrInstreamLimit},
	} {
		for _, a := range streamScans {
			for _, size := range []int{chunkData + 1, 2 * chunkData, 5 << 20} {
				for _, reads := range []bool{true, false} {
					said := make(chan struct{})
					c := playServer(t, "unix", func(nc net.Conn) {
						answerBefore(nc, a.id, a.before)
						readZ(nc)
						io.ReadFull(nc, make([]byte, 100))
						io.WriteString(nc, a.id+tt.reply+"\x00")
						close(said)
						if reads {
							io.Copy(io.Discard, nc)
						} else {
							<-t.Context().Done()
						}
					})
					r, err := a.ask(t, c, &held{n: size, last: said})
					var answer *ReplyError
					if errors.As(err, &answer) {
						r = answer.Reply
					}
					if !errors.Is(err, tt.want) || err == nil && !r.Found() || tt.want != ErrEarlyOK && !r.Early {
						t.Errorf("%s, %s, %d bytes, reads on %v: got %+v, %v", tt.reply, a.name, size, reads, r, err)
					}
				}
			}
		}
	}
}

// TestEarlyReplyWithoutSocket checks that an early OK to a long stream is noticed on a
// connection that is not a socket.
func TestEarlyReplyWithoutSocket(t *testing.T) {
	for _, size := range []int{chunkData + 1, 1 << 20} {
		client, server := net.Pipe()
		said := make(chan struct{})
		go func() {
			defer server.Close()
			readZ(server)
			// When the second write returns, the client has stored the first.
			io.WriteString(server, "stream: ")
			io.WriteString(server, "OK\x00")
			close(said)
			io.Copy(io.Discard, server)
		}()
		c := &Client{Dial: func(context.Context, string, string) (net.Conn, error) { return client, nil }}
		if r, err := c.Instream(testContext(t), &held{n: size, last: said}); !errors.Is(err, ErrEarlyOK) {
			t.Errorf("%d bytes: got %+v, %v", size, r, err)
		}
	}
}

// TestReplyInTime checks that a reply to the whole stream is not early.
func TestReplyInTime(t *testing.T) {
	for _, a := range streamScans {
		for _, size := range []int{0, 1, chunkData - 1, chunkData, chunkData + 1, 5 << 20} {
			c := playServer(t, "unix", func(nc net.Conn) {
				answerBefore(nc, a.id, a.before)
				readZ(nc)
				if data, whole := readChunks(nc); !whole || len(data) != size {
					t.Errorf("got %d bytes", len(data))
				}
				io.WriteString(nc, a.id+"stream: OK\x00")
				io.Copy(io.Discard, nc)
			})
			if r, err := a.ask(t, c, io.LimitReader(zeros{}, int64(size))); err != nil || !r.OK() || r.Early {
				t.Errorf("%s, %d bytes: got %+v, %v", a.name, size, r, err)
			}
		}
	}
}

// TestReplyBeforeTheRequest checks that input before a request is not taken for its reply.
func TestReplyBeforeTheRequest(t *testing.T) {
	said := make(chan struct{})
	c := playServer(t, "unix", func(nc net.Conn) {
		io.WriteString(nc, "stream: OK\x00")
		close(said)
		io.Copy(io.Discard, nc)
	})
	if r, err := c.Instream(testContext(t), &held{n: 1, last: said}); !errors.Is(err, ErrEarlyOK) {
		t.Errorf("alone: got %+v, %v", r, err)
	}
	for _, reply := range []string{"1: PONG\x00", "2: stream: OK\x00", "2: stream: X FOUND\x00", "2: stream: O", "x"} {
		said := make(chan struct{})
		c := playServer(t, "unix", func(nc net.Conn) {
			answerBefore(nc, "1: ", 1)
			io.WriteString(nc, reply)
			close(said)
			io.Copy(io.Discard, nc)
		})
		s := openSession(t, c)
		if err := s.Ping(testContext(t)); err != nil && !errors.Is(err, ErrUnexpectedReply) {
			t.Fatal(err)
		}
		if r, err := s.Instream(testContext(t), &held{n: 1, last: said}); !errors.Is(err, ErrUnexpectedReply) {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
		if s.Usable() {
			t.Errorf("%q: usable", reply)
		}
	}
}

// TestStrayWhileSending checks that a reply with an unknown number, or without one, ends
// the session.
func TestStrayWhileSending(t *testing.T) {
	for _, reply := range []string{"1: stream: OK\x00", "7: stream: OK\x00", "stream: OK\x00"} {
		said := make(chan struct{})
		c := playServer(t, "unix", func(nc net.Conn) {
			answerBefore(nc, "1: ", 1)
			readZ(nc)
			io.WriteString(nc, reply)
			close(said)
			io.Copy(io.Discard, nc)
		})
		s := openSession(t, c)
		if err := s.Ping(testContext(t)); err != nil {
			t.Fatal(err)
		}
		r, err := s.Instream(testContext(t), &held{n: chunkData + 1, last: said})
		if !errors.Is(err, ErrUnexpectedReply) && !errors.Is(err, ErrReplySyntax) || s.Usable() {
			t.Errorf("%q: got %+v, %v", reply, r, err)
		}
	}
}

// TestReplyToAnotherWhileSending checks that replies to other pending requests may arrive
// while a stream is sent.
func TestReplyToAnotherWhileSending(t *testing.T) {
	for _, size := range []int{1, chunkData + 1, 5 << 20} {
		asked, said := make(chan struct{}), make(chan struct{})
		c := playServer(t, "unix", func(nc net.Conn) {
			readZ(nc)
			readZ(nc)
			readChunks(nc)
			close(asked)
			readZ(nc)
			io.ReadFull(nc, make([]byte, min(size, chunkData)))
			io.WriteString(nc, "1: stream: X FOUND\x00")
			close(said)
			io.Copy(io.Discard, io.LimitReader(nc, int64(size-min(size, chunkData)+4)))
			if size > chunkData {
				io.ReadFull(nc, make([]byte, 4*(1+(size-1)/chunkData)))
			}
			io.WriteString(nc, "2: stream: OK\x00")
			io.Copy(io.Discard, nc)
		})
		s := openSession(t, c)
		other := make(chan error, 1)
		go func() {
			r, err := s.Instream(testContext(t), strings.NewReader("x"))
			if err == nil && !r.Found() {
				err = errors.New(r.String())
			}
			other <- err
		}()
		<-asked
		last := said
		if size == 1 { // in one write: the server cannot wait for its first bytes
			last = asked
		}
		if r, err := s.Instream(testContext(t), &held{n: size, last: last}); err != nil || !r.OK() || r.Early {
			t.Errorf("%d bytes: got %+v, %v", size, r, err)
		}
		if err := <-other; err != nil {
			t.Errorf("the other request: %v", err)
		}
		if !s.Usable() {
			t.Errorf("%d bytes: not usable", size)
		}
	}
}

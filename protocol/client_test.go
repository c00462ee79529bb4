package protocol

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func TestClientInformation(t *testing.T) {
	ctx := testContext(t)
	const stats = "POOLS: 1\n\nSTATE: VALID PRIMARY\nEND"
	answers := map[string]string{
		"zPING": "PONG", "zVERSION": "ClamAV 1.4.6/27500/Mon Nov 23 08:00:00 2026", "zRELOAD": "RELOADING",
		"zVERSIONCOMMANDS": "ClamAV 1.4.6| COMMANDS: SCAN XSCAN", "zSTATS": stats,
	}
	c := playServer(t, "tcp", func(nc net.Conn) { io.WriteString(nc, answers[readZ(nc)]+"\x00") })
	if err := c.Ping(ctx); err != nil {
		t.Error(err)
	}
	if err := c.Reload(ctx); err != nil {
		t.Error(err)
	}
	if v, err := c.Version(ctx); err != nil || v != answers["zVERSION"] {
		t.Errorf("%q, %v", v, err)
	}
	if s, err := c.Stats(ctx); err != nil || s != stats {
		t.Errorf("%q, %v", s, err)
	}
	v, verbs, err := c.VersionCommands(ctx)
	if err != nil || v != "ClamAV 1.4.6" || len(verbs) != 2 || verbs[0] != VerbScan || verbs[1] != VerbXScan {
		t.Errorf("%q, %q, %v", v, verbs, err)
	}
}

func TestClientSelfCheck(t *testing.T) {
	ctx := testContext(t)
	for reply, want := range map[string]bool{"DBUPTODATE": true, "RELOADING": false} {
		if got, err := answering(t, reply+"\x00").SelfCheck(ctx); got != want || err != nil {
			t.Errorf("%s: %v, %v", reply, got, err)
		}
	}
	for _, reply := range []string{"UNKNOWN COMMAND\x00", "COMMAND UNAVAILABLE\x00", "DBUPTODATE ERROR\x00", "PONG\x00", "\x00", ""} {
		if got, err := answering(t, reply).SelfCheck(ctx); got || err == nil {
			t.Errorf("%q: %v, %v", reply, got, err)
		}
	}
}

func TestClientInformationRefused(t *testing.T) {
	ctx := testContext(t)
	for _, reply := range []string{"COMMAND UNAVAILABLE\x00", "\x00", "x ERROR\x00", "stream: OK\x00"} {
		c := answering(t, reply)
		_, err1 := c.Version(ctx)
		_, _, err2 := c.VersionCommands(ctx)
		_, err3 := c.Stats(ctx)
		for i, err := range []error{err1, err2, err3, c.Ping(ctx), c.Reload(ctx)} {
			if err == nil {
				t.Errorf("%q: request %d got no error", reply, i)
			}
		}
		if strings.HasPrefix(reply, "COMMAND") && !errors.Is(err1, ErrCommandUnavailable) {
			t.Errorf("got %v", err1)
		}
	}
}

func TestInstreamSends(t *testing.T) {
	ctx := testContext(t)
	for _, network := range []string{"unix", "tcp"} {
		for _, size := range []int{0, 1, chunkData - 1, chunkData, chunkData + 1, 3*chunkData + 5} {
			object := bytes.Repeat([]byte("0123456789"), size/10+1)[:size]
			got := make(chan []byte, 1)
			c := playServer(t, network, func(nc net.Conn) {
				if cmd := readZ(nc); cmd != "zINSTREAM" {
					t.Errorf("command %q", cmd)
				}
				data, _ := readChunks(nc)
				got <- data
				io.WriteString(nc, "stream: OK\x00")
			})
			for _, r := range []io.Reader{bytes.NewReader(object), iotest.DataErrReader(bytes.NewReader(object)), iotest.HalfReader(bytes.NewReader(object))} {
				reply, err := c.Instream(ctx, r)
				if err != nil || !reply.OK() {
					t.Fatalf("%d bytes: %+v, %v", size, reply, err)
				}
				if data := <-got; !bytes.Equal(data, object) {
					t.Fatalf("%d bytes: the server got %d different ones", size, len(data))
				}
			}
		}
	}
}

// countConn counts writes.
type countConn struct {
	net.Conn
	writes *atomic.Int32
}

func (c countConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func TestInstreamIsOneWrite(t *testing.T) {
	var writes atomic.Int32
	c := playServer(t, "tcp", func(nc net.Conn) {
		readZ(nc)
		readChunks(nc)
		io.WriteString(nc, "stream: OK\x00")
	})
	c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		nc, err := net.Dial(network, address)
		return countConn{nc, &writes}, err
	}
	if _, err := c.Instream(testContext(t), strings.NewReader("small")); err != nil {
		t.Fatal(err)
	}
	if n := writes.Load(); n != 1 {
		t.Errorf("%d writes", n)
	}
}

// TestInstreamReaderFails checks that the end marker is not sent after a read error.
func TestInstreamReaderFails(t *testing.T) {
	whole := make(chan bool, 1)
	c := playServer(t, "unix", func(nc net.Conn) {
		readZ(nc)
		_, ok := readChunks(nc)
		whole <- ok
		io.WriteString(nc, "stream: OK\x00")
	})
	for _, want := range []error{io.ErrUnexpectedEOF, syscall.EPIPE, os.ErrDeadlineExceeded} {
		r := io.MultiReader(bytes.NewReader(make([]byte, chunkData+7)), iotest.ErrReader(want))
		reply, err := c.Instream(testContext(t), r)
		if !errors.Is(err, want) || reply != (Reply{}) {
			t.Errorf("%v: got %+v, %v", want, reply, err)
		}
		if <-whole {
			t.Errorf("%v: the server received an end marker", want)
		}
	}
	if _, err := c.Instream(testContext(t), stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
	<-whole
	if _, err := c.Instream(testContext(t), wrongCount{}); err == nil {
		t.Error("no error for a reader that returns a wrong count")
	}
	<-whole
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

type wrongCount struct{}

func (wrongCount) Read(p []byte) (int, error) { return len(p) + 1, nil }

func TestReplyEndsAtEveryByte(t *testing.T) {
	const reply = "stream: OK\x00"
	for n := range len(reply) {
		for _, reset := range []bool{false, true} {
			c := playServer(t, "tcp", func(nc net.Conn) {
				readZ(nc)
				readChunks(nc)
				io.WriteString(nc, reply[:n])
				if reset {
					nc.(*net.TCPConn).SetLinger(0)
				}
			})
			r, err := c.Instream(testContext(t), strings.NewReader("x"))
			want := ErrBrokenReply
			if n == 0 {
				want = ErrNoReply
			}
			if r != (Reply{}) || !errors.Is(err, want) && !(reset && errors.Is(err, ErrNoReply)) {
				t.Errorf("%d bytes, reset %v: got %+v, %v", n, reset, r, err)
			}
		}
	}
}

func TestReplyByteByByte(t *testing.T) {
	c := playServer(t, "tcp", func(nc net.Conn) {
		readZ(nc)
		readChunks(nc)
		for _, b := range []byte("stream: " + strings.Repeat("N", 2000) + " FOUND\x00") {
			nc.Write([]byte{b})
		}
	})
	r, err := c.Instream(testContext(t), strings.NewReader("x"))
	if err != nil || r.Text != strings.Repeat("N", 2000) {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestOddReplies(t *testing.T) {
	tests := []struct {
		name, reply string
		want        error
	}{
		{"two", "stream: OK\x00stream: OK\x00", ErrUnexpectedReply},
		{"garbage after it", "stream: OK\x00x", ErrUnexpectedReply},
		{"garbage", "\x16\x03\x01\x00", ErrReplySyntax},
		{"no terminator", "stream: OK", ErrBrokenReply},
		{"newline", "stream: OK\n", ErrBrokenReply},
		{"no end", strings.Repeat("A", 1<<20), errReplyTooLong},
		{"timed out", "COMMAND READ TIMED OUT\n", ErrCommandTimeout},
		{"half of timed out", "COMMAND READ TIMED OU", ErrBrokenReply},
		{"unknown", "UNKNOWN COMMAND\x00", ErrUnknownCommand},
		{"empty", "\x00", ErrReplySyntax},
		{"with id", "1: stream: OK\x00", ErrReplySyntax},
		{"about a path", "/p: OK\x00", ErrReplySyntax},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := playServer(t, "unix", func(nc net.Conn) {
				readZ(nc)
				readChunks(nc)
				io.WriteString(nc, tt.reply)
			})
			if r, err := c.Instream(testContext(t), strings.NewReader("x")); !errors.Is(err, tt.want) {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
}

// TestReplyWhileWriting has the server answer and close before the stream ends.
func TestReplyWhileWriting(t *testing.T) {
	tests := []struct {
		reply string
		want  error
	}{
		{"INSTREAM size limit exceeded. ERROR\x00", ErrInstreamLimit},
		{"stream: OK\x00", ErrEarlyOK},
		{"stream: Eicar FOUND\x00", nil},
		{"", ErrNoReply},
	}
	for _, tt := range tests {
		c := playServer(t, "unix", func(nc net.Conn) {
			readZ(nc)
			io.WriteString(nc, tt.reply)
			nc.(*net.UnixConn).CloseWrite()
		})
		r, err := c.Instream(testContext(t), io.LimitReader(zeros{}, 64<<20))
		if tt.want == nil && (err != nil || !r.Found()) || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%q: got %+v, %v", tt.reply, r, err)
		}
	}
}

func TestContextEnds(t *testing.T) {
	cause := errors.New("called off")
	for _, reads := range []bool{true, false} {
		c := playServer(t, "unix", func(nc net.Conn) {
			if reads {
				io.Copy(io.Discard, nc)
				return
			}
			<-t.Context().Done()
		})
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		if _, err := c.Instream(ctx, io.LimitReader(zeros{}, 1<<30)); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		if err := c.Ping(ctx); !errors.Is(err, cause) {
			t.Errorf("after the context ended: got %v", err)
		}
	}
}

package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// chunk returns one chunk in wire format.
func chunk(data string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(data)))) + data
}

func chunks(contents ...string) string {
	var b strings.Builder
	for _, c := range contents {
		b.WriteString(chunk(c))
	}
	return b.String()
}

var kib = strings.Repeat("0123456789abcdef", 64)

var streamTests = []struct {
	name  string
	wire  string
	limit int64
	want  string
	rest  string // what is left unread after the stream
	err   error
}{
	{name: "empty", wire: chunk("")},
	{name: "one chunk", wire: chunks("abc", ""), want: "abc"},
	{name: "chunks of one byte", wire: chunks("a", "b", "c", "d", ""), want: "abcd"},
	{name: "zeros", wire: chunks("\x00\x00\x00\x00", "\x00", ""), want: "\x00\x00\x00\x00\x00"},
	{name: "rest", wire: chunks("abc", "") + "zPING\x00", want: "abc", rest: "zPING\x00"},
	{name: "rest looks like a stream", wire: chunks("abc", "", "def", ""), want: "abc", rest: chunks("def", "")},
	{name: "larger than a segment", wire: chunks(strings.Repeat(kib, 300), "x", ""), want: strings.Repeat(kib, 300) + "x"},
	{name: "as large as a segment", wire: chunks(strings.Repeat(kib, 16)[4:], strings.Repeat(kib, 16), ""),
		want: strings.Repeat(kib, 16)[4:] + strings.Repeat(kib, 16)},

	{name: "exactly the limit", wire: chunks("abc", "de", ""), limit: 5, want: "abcde"},
	{name: "one over the limit", wire: chunks("abc", "def", ""), limit: 5, want: "abc", rest: "def" + chunk(""), err: ErrStreamLimit},
	{name: "over the limit before the data", wire: chunk("abc") + "\x00\x00\x00\x03", limit: 5, want: "abc", err: ErrStreamLimit},
	{name: "first chunk over the limit", wire: chunks("abcdef"), limit: 5, rest: "abcdef", err: ErrStreamLimit},
	{name: "nothing left", wire: chunks("abcde", "f", ""), limit: 5, want: "abcde", rest: "f" + chunk(""), err: ErrStreamLimit},
	{name: "4 GiB over the limit", wire: "\xff\xff\xff\xffab", limit: 5, rest: "ab", err: ErrStreamLimit},
	{name: "4 GiB and the limit of a signed number", wire: "\xff\xff\xff\xffab", limit: 1<<31 - 1, rest: "ab", err: ErrStreamLimit},
	{name: "4 GiB without limit", wire: "\xff\xff\xff\xffab", want: "ab", err: io.ErrUnexpectedEOF},
	{name: "4 GiB within the limit", wire: "\xff\xff\xff\xffab", limit: 1<<32 - 1, want: "ab", err: io.ErrUnexpectedEOF},
	{name: "negative limit is none", wire: chunks("abcde", ""), limit: -1, want: "abcde"},

	{name: "immediate end", err: io.ErrUnexpectedEOF},
	{name: "end in the header", wire: "\x00\x00", err: io.ErrUnexpectedEOF},
	{name: "end after the header", wire: "\x00\x00\x00\x05", err: io.ErrUnexpectedEOF},
	{name: "end in the data", wire: "\x00\x00\x00\x05abc", want: "abc", err: io.ErrUnexpectedEOF},
	{name: "end after the data", wire: chunk("abc"), want: "abc", err: io.ErrUnexpectedEOF},
	{name: "end in the end marker", wire: chunk("abc") + "\x00\x00\x00", want: "abc", err: io.ErrUnexpectedEOF},
}

// checkStream sends the packets and checks the stream and what follows it.
func checkStream(t *testing.T, p serverPair, limit int64, want, rest string, wantErr error, packets ...string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		for _, packet := range packets {
			if _, err := p.client.Write([]byte(packet)); err != nil {
				break
			}
			if len(packets) < 100 {
				p.received(t, done)
			}
		}
		p.end()
	}()
	defer close(done)
	var got bytes.Buffer
	n, err := p.Stream(limit, hang).WriteTo(&got)
	if !errors.Is(err, wantErr) || wantErr == nil && err != nil {
		t.Errorf("ended with %v, want %v", err, wantErr)
	}
	if got.String() != want || n != int64(got.Len()) {
		t.Errorf("read %d bytes, %.80q, want %d, %.80q", n, got.String(), len(want), want)
	}
	var left bytes.Buffer
	for p.w > p.r || p.fill(false) == nil {
		left.Write(p.seg.b[p.r:p.w])
		p.consume(p.w - p.r)
	}
	if left.String() != rest {
		t.Errorf("left %q, want %q", left.String(), rest)
	}
}

func TestStream(t *testing.T) {
	for _, kind := range serverKinds {
		for _, tt := range streamTests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				checkStream(t, kind.make(t), tt.limit, tt.want, tt.rest, tt.err, tt.wire)
				if len(tt.wire) > 200 {
					half := len(tt.wire) / 2
					checkStream(t, kind.make(t), tt.limit, tt.want, tt.rest, tt.err, tt.wire[:half], tt.wire[half:])
					return
				}
				for i := 1; i < len(tt.wire); i++ {
					checkStream(t, kind.make(t), tt.limit, tt.want, tt.rest, tt.err, tt.wire[:i], tt.wire[i:])
				}
				checkStream(t, kind.make(t), tt.limit, tt.want, tt.rest, tt.err, strings.Split(tt.wire, "")...)
			})
		}
	}
}

// A packet may contain command, stream and command.
func TestStreamBetweenCommands(t *testing.T) {
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			go func() {
				p.client.Write([]byte("zINSTREAM\x00" + chunks("abc", "") + "nINSTREAM\n" + chunks("d", "") + "zPING\x00zPI"))
				p.end()
			}()
			p.steps(t, "INSTREAM, stream abc, INSTREAM, stream d, PING, eof", nil)
		})
	}
}

// After an empty chunk a second WriteTo is at the end too.
func TestStreamTwice(t *testing.T) {
	p := unixPair(t)
	p.send(t, chunks("abc", "", "def", ""))
	s := p.Stream(0, hang)
	for i, want := range []int64{3, 0} {
		if n, err := s.WriteTo(io.Discard); n != want || err != nil {
			t.Errorf("time %d: %d bytes, %v", i, n, err)
		}
	}
	if !s.Drain(hang, hang, 1) || p.Buffered() != len(chunks("def", "")) {
		t.Errorf("Drain consumed what follows the stream: %d bytes are left", p.Buffered())
	}
	over := p.Stream(2, hang)
	for range 2 {
		if n, err := over.WriteTo(io.Discard); n != 0 || err != ErrStreamLimit {
			t.Errorf("over the limit: %d bytes, %v", n, err)
		}
	}
}

func TestStreamDeadline(t *testing.T) {
	for _, kind := range serverKinds {
		for _, wire := range []string{"", "\x00\x00", "\x00\x00\x00\x09", "\x00\x00\x00\x09abc", chunk("abc")} {
			t.Run(fmt.Sprintf("%s/%q", kind.name, wire), func(t *testing.T) {
				p := kind.make(t)
				go p.client.Write([]byte(wire))
				var got bytes.Buffer
				_, err := p.Stream(0, 30*time.Millisecond).WriteTo(&got)
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended with %v", err)
				}
				if p.seg != nil {
					t.Error("a segment is held")
				}
			})
		}
	}
}

func TestStreamReset(t *testing.T) {
	p := unixPair(t)
	if err := p.WriteReply([]byte("never read"), hang); err != nil {
		t.Fatal(err)
	}
	p.send(t, chunk("abc"))
	p.client.Close()
	if _, err := p.Stream(0, hang).WriteTo(io.Discard); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("ended with %v", err)
	}
}

var errFull = errors.New("disk full")

// fullWriter accepts a number of bytes.
type fullWriter struct {
	left int
	err  error
}

func (w *fullWriter) Write(p []byte) (int, error) {
	n := min(w.left, len(p))
	w.left -= n
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

// After a write error Drain still finds the end of the stream.
func TestStreamWriterFails(t *testing.T) {
	content := strings.Repeat(kib, 20)
	for _, kind := range serverKinds {
		for _, wire := range []string{chunks(content, ""), chunks(content[:5000], content[5000:5001], content[5001:], "")} {
			for _, takes := range []int{0, 1, 4999, 5000, 5001, len(content) - 1} {
				t.Run(fmt.Sprintf("%s/%d/%d", kind.name, len(wire), takes), func(t *testing.T) {
					p := kind.make(t)
					go func() {
						p.client.Write([]byte(wire + "zPING\x00"))
						p.end()
					}()
					s := p.Stream(0, hang)
					_, err := s.WriteTo(&fullWriter{takes, errFull})
					var writeErr *WriteError
					if !errors.As(err, &writeErr) || !errors.Is(err, errFull) {
						t.Fatalf("ended with %v", err)
					}
					if !s.Drain(hang, hang, 1<<20) {
						t.Error("the end was not reached")
					}
					p.steps(t, "PING, eof", nil)
				})
			}
		}
	}
}

// TestStreamWriterWrongCount checks that a wrong count from a writer is an error.
func TestStreamWriterWrongCount(t *testing.T) {
	for _, lie := range []int{-1, 1} {
		p := unixPair(t)
		p.send(t, chunks("abc", ""))
		w := writerFunc(func(b []byte) (int, error) { return len(b) + lie, nil })
		if _, err := p.Stream(0, hang).WriteTo(w); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%+d bytes: %v", lie, err)
		}
	}
}

// A net.Pipe closed by the client refuses deadlines, but has an end.
func TestStreamClosedPipe(t *testing.T) {
	p := serverKinds[2].make(t)
	p.client.Close()
	if _, err := p.Stream(0, hang).WriteTo(io.Discard); err != io.ErrUnexpectedEOF {
		t.Errorf("ended with %v", err)
	}
}

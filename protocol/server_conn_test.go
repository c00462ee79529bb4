package protocol

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestIdleHoldsNoSegment(t *testing.T) {
	for _, kind := range serverKinds[:2] {
		for _, sent := range []string{"", "zPING\x00", "zPI", "zPING\x00zPI"} {
			t.Run(fmt.Sprintf("%s/%q", kind.name, sent), func(t *testing.T) {
				p := kind.make(t)
				p.send(t, sent)
				done := make(chan error)
				go func() {
					_, err := readCommands(p.Conn)
					done <- err
				}()
				p.received(t, nil)
				p.SetReadDeadline(time.Unix(1, 0))
				if err := <-done; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("ended with %v", err)
				}
				if p.seg != nil {
					t.Error("a segment is held")
				}
				rest := strings.TrimPrefix(sent, "zPING\x00")
				if p.Buffered() != len(rest) {
					t.Errorf("%d bytes are buffered, want %d", p.Buffered(), len(rest))
				}
			})
		}
	}
}

// TestStalledHoldNoSegments checks that a thousand clients that stop at any point hold no
// buffers.
func TestStalledHoldNoSegments(t *testing.T) {
	stops := []string{"", "zPI", "zINSTREAM\x00", "zINSTREAM\x00\x00\x00", "zINSTREAM\x00\x00\x00\x00\x09abc",
		"zINSTREAM\x00\x7f\xff\xff\xff", "zFILDES\x00", "nPING\r"}
	const clients = 1000
	before := liveHeap()
	var pairs []serverPair
	var wg sync.WaitGroup
	for i := range clients {
		p := unixPair(t)
		p.send(t, stops[i%len(stops)])
		pairs = append(pairs, p)
		wg.Go(func() {
			switch cmd, _ := p.ReadCommand(); cmd.Verb {
			case VerbInstream:
				p.Stream(0, hang).WriteTo(io.Discard)
			case VerbFildes:
				p.Descriptor()
			}
		})
	}
	for _, p := range pairs {
		p.received(t, nil)
	}
	const most = clients * smallSegment / 4
	for end := time.Now().Add(hang); liveHeap() > before+most; {
		if time.Now().After(end) {
			t.Fatalf("%d stalled clients cost %d bytes of heap", clients, liveHeap()-before)
		}
	}
	for _, p := range pairs {
		p.Close()
	}
	wg.Wait()
	for _, p := range pairs {
		if p.seg != nil || p.held != "" {
			t.Fatal("a closed connection holds a buffer")
		}
	}
}

// liveHeap returns the heap in use after the pools were emptied.
func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestReadCommandAfterDeadline checks that a deadline in the middle of a command loses
// nothing.
func TestReadCommandAfterDeadline(t *testing.T) {
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			go p.client.Write([]byte("zPI"))
			for p.Buffered() < 3 {
				p.SetReadDeadline(time.Now().Add(time.Millisecond))
				if _, err := p.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("ended with %v", err)
				}
			}
			p.SetReadDeadline(time.Now().Add(hang))
			go p.client.Write([]byte("NG\x00"))
			if cmd, err := p.ReadCommand(); cmd != zPing || err != nil {
				t.Errorf("%+v, %v", cmd, err)
			}
			if p.Buffered() != 0 {
				t.Errorf("%d bytes are buffered", p.Buffered())
			}
		})
	}
}

func TestReadCommandReset(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		p := tcpPair(t)
		p.send(t, "zPI")
		p.client.(*net.TCPConn).SetLinger(0)
		p.client.Close()
		if _, err := p.ReadCommand(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("unix", func(t *testing.T) {
		p := unixPair(t)
		if err := p.WriteReply([]byte("never read"), hang); err != nil {
			t.Fatal(err)
		}
		p.client.Close()
		if _, err := p.ReadCommand(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("ended with %v", err)
		}
	})
}

// An empty Write to a net.Pipe is not the end.
func TestReadNothing(t *testing.T) {
	p := serverKinds[2].make(t)
	go func() {
		for _, packet := range []string{"", "zPI", "", "", "NG\x00"} {
			p.client.Write([]byte(packet))
		}
	}()
	if cmd, err := p.ReadCommand(); cmd != zPing || err != nil {
		t.Errorf("%+v, %v", cmd, err)
	}
	c := NewConn(silentConn{})
	if _, err := c.ReadCommand(); err != io.ErrNoProgress {
		t.Errorf("a Read that never returns anything: %v", err)
	}
}

// silentConn reads no bytes and returns no error.
type silentConn struct{ net.Conn }

func (silentConn) Read([]byte) (int, error) { return 0, nil }

// A net.Conn that wraps a socket must be read by its own Read.
func TestWrappedConn(t *testing.T) {
	p := tcpPair(t)
	wrapped := NewConn(prefixConn{p.nc.(*net.TCPConn), strings.NewReader("zPING\x00")})
	if cmd, err := wrapped.ReadCommand(); cmd != zPing || err != nil {
		t.Errorf("%+v, %v", cmd, err)
	}
}

type prefixConn struct {
	*net.TCPConn
	prefix io.Reader
}

func (c prefixConn) Read(p []byte) (int, error) { return c.prefix.Read(p) }

func TestWriteReplyWhileReading(t *testing.T) {
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			const writers, replies = 8, 50
			go readCommands(p.Conn)
			go func() {
				for range replies {
					p.client.Write([]byte("zPING\x00"))
				}
			}()
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					line := strings.Repeat(string(rune('a'+w)), 300) + "\n"
					for range replies {
						if err := p.WriteReply([]byte(line), hang); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			lines := bufio.NewScanner(p.client)
			for range writers * replies {
				if !lines.Scan() {
					t.Fatal(lines.Err())
				}
				if line := lines.Text(); line != strings.Repeat(line[:1], 300) {
					t.Fatalf("replies are mixed: %q", line)
				}
			}
			wg.Wait()
		})
	}
}

// TestWriteReplyTimeout checks that a client that stops reading gets no second reply after
// part of the first.
func TestWriteReplyTimeout(t *testing.T) {
	for _, kind := range serverKinds {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			large := bytes.Repeat([]byte("a"), 16<<20)
			if err := p.WriteReply(large, 10*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("a reply that nobody reads: %v", err)
			}
			var got []byte
			read := make(chan struct{})
			go func() {
				defer close(read)
				got, _ = io.ReadAll(p.client)
			}()
			if err := p.WriteReply([]byte("second\n"), hang); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the next reply: %v", err)
			}
			p.Close()
			<-read
			if bytes.Contains(got, []byte("second")) {
				t.Error("the client got it")
			}
		})
	}
}

// TestUnknown checks what is kept of input that is not a command, or too long for one.
func TestUnknown(t *testing.T) {
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct{ send, want string }{
		{"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"},
		{"\r\n\r\n\x00\r\nQUIT\nrest", "\r\n\r\n\x00\r\nQUIT\nrest"},
		{"\x16\x03\x01\x00", "\x16\x03\x01\x00"},
		{"zNONSENSE\x00zPING\x00", "zNONSENSE\x00"},
		{"nNONSENSE\nnPING\n", "nNONSENSE\n"},
		{long, long[:64]},
		{"z" + long, "z" + long[:63]},
		{"zSCAN /" + long + "\x00", "zSCAN /" + long[:57]},
		{"zPING\x00", ""},
		{"z", ""},
	} {
		p := unixPair(t)
		p.send(t, tt.send)
		p.client.Close()
		p.ReadCommand()
		if got := p.Unknown(); got != tt.want {
			t.Errorf("%.80q: got %q, want %q", tt.send, got, tt.want)
		}
	}
}

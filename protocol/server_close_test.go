package protocol

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// These tests call Close from another goroutine.
func TestCloseWhileReading(t *testing.T) {
	for _, kind := range serverKinds {
		for _, sent := range []string{"zPI", "zINSTREAM\x00\x00\x00\x00\x09abc", "zFILDES\x00"} {
			t.Run(fmt.Sprintf("%s/%q", kind.name, sent), func(t *testing.T) {
				p := kind.make(t)
				done := make(chan error)
				go func() {
					cmd, err := p.ReadCommand()
					switch cmd.Verb {
					case VerbInstream:
						_, err = p.Stream(0, hang).WriteTo(io.Discard)
					case VerbFildes:
						_, err = p.Descriptor()
					}
					done <- err
				}()
				p.send(t, sent)
				p.received(t, nil)
				p.Close()
				if err := <-done; !errors.Is(err, net.ErrClosed) && !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("ended with %v", err)
				}
				if p.seg != nil || p.held != "" {
					t.Error("a buffer is held")
				}
				if _, err := p.ReadCommand(); err == nil {
					t.Error("a closed connection is read")
				}
			})
		}
	}
}

// A segment from which a Write is reading must not return to the pool, where another
// client's bytes would overwrite it.
func TestCloseWhileWriting(t *testing.T) {
	files := serverFiles(t, 1)
	p := unixPair(t)
	p.sendFiles(t, "zINSTREAM\x00\x00\x00\x00\x03abc", files[0])
	p.steps(t, "INSTREAM", files)
	w := writerFunc(func(b []byte) (int, error) {
		p.Close()
		if p.seg == nil {
			t.Error("the segment is gone")
		}
		return len(b), nil
	})
	if n, err := p.Stream(0, hang).WriteTo(w); n != 3 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("%d bytes, %v", n, err)
	}
	if p.seg != nil {
		t.Error("the segment is held")
	}
	if n := openTimes(t, files); n != 1 {
		t.Errorf("%d descriptors are left over", n-1)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Close must work after a writer has panicked.
func TestCloseAfterPanic(t *testing.T) {
	files := serverFiles(t, 1)
	p := unixPair(t)
	p.sendFiles(t, "zINSTREAM\x00\x00\x00\x00\x03abc", files[0])
	p.steps(t, "INSTREAM", files)
	func() {
		defer func() { recover() }()
		p.Stream(0, hang).WriteTo(writerFunc(func([]byte) (int, error) { panic("writer") }))
	}()
	p.Close()
	if n := openTimes(t, files); n != 1 || p.seg != nil {
		t.Errorf("%d descriptors are left over, segment %v", n-1, p.seg != nil)
	}
}

func TestCloseWrite(t *testing.T) {
	for _, kind := range serverKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			p.send(t, "zPING\x00 and more")
			if cmd, err := p.ReadCommand(); cmd != zPing || err != nil {
				t.Fatalf("%+v, %v", cmd, err)
			}
			p.WriteReply([]byte("PONG\x00"), hang)
			if err := p.CloseWrite(); err != nil {
				t.Error(err)
			}
			go p.Discard(hang, hang, 1<<20)
			if got, err := io.ReadAll(p.client); string(got) != "PONG\x00" || err != nil {
				t.Errorf("the client read %q, %v", got, err)
			}
			p.end()
		})
	}
}

func TestDiscard(t *testing.T) {
	endless := func(p serverPair) {
		b := make([]byte, 10_000)
		for {
			if _, err := p.client.Write(b); err != nil {
				return
			}
		}
	}
	tests := []struct {
		name         string
		client       func(p serverPair)
		quiet, total time.Duration
		limit        int64
	}{
		{"client closes", func(p serverPair) { p.client.Write(make([]byte, 300_000)); p.end() }, hang, hang, 1 << 40},
		{"client silent", func(p serverPair) { p.client.Write([]byte("zPI")) }, time.Millisecond, hang, 1 << 40},
		{"limit", endless, hang, hang, 1 << 20},
		{"no limit left", endless, hang, hang, 0},
		{"total", endless, hang, 20 * time.Millisecond, 1 << 62},
		{"total, silent", func(serverPair) {}, hang, 20 * time.Millisecond, 1 << 40},
	}
	for _, kind := range serverKinds {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := kind.make(t)
				var wg sync.WaitGroup
				wg.Go(func() { tt.client(p) })
				p.Discard(tt.quiet, tt.total, tt.limit)
				p.Close()
				wg.Wait()
				if p.seg != nil {
					t.Error("a segment is held")
				}
			})
		}
	}
}

// TestDiscardReceived checks that only input that has arrived is dropped, without waiting, also
// after the read deadline of an earlier receive.
func TestDiscardReceived(t *testing.T) {
	for _, kind := range serverKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			if n, err := p.DiscardReceived(1 << 20); n != 0 || err != nil {
				t.Errorf("nothing has arrived: %d, %v", n, err)
			}
			p.send(t, "zPING\x00abc")
			if _, err := p.ReadCommand(); err != nil {
				t.Fatal(err)
			}
			p.SetReadDeadline(time.Unix(1, 0))
			if n, err := p.DiscardReceived(1 << 20); n != 3 || err != nil {
				t.Errorf("after the deadline: %d, %v", n, err)
			}
			p.SetReadDeadline(time.Now().Add(hang))
			done := p.awaited()
			p.send(t, "def")
			<-done
			if n, err := p.DiscardNext(); n != 3 || err != nil {
				t.Errorf("next: %d, %v", n, err)
			}
			p.end()
			p.Await()
			if n, err := p.DiscardReceived(1 << 20); n != 0 || err != io.EOF {
				t.Errorf("at the end: %d, %v", n, err)
			}
		})
	}
}

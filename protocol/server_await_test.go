package protocol

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// awaited runs Await and returns a channel that is closed when it returns.
func (p serverPair) awaited() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Await()
	}()
	return done
}

func TestAwait(t *testing.T) {
	for _, kind := range serverKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			done := p.awaited()
			p.send(t, "z")
			<-done
			if p.Buffered() != 1 {
				t.Errorf("%d bytes are buffered", p.Buffered())
			}
			p.send(t, "PING\x00zPING\x00")
			for range 2 { // the second input has already arrived
				p.Await()
				if cmd, err := p.ReadCommand(); cmd != zPing || err != nil {
					t.Fatalf("%+v, %v", cmd, err)
				}
			}
			done = p.awaited()
			p.end()
			<-done
			if _, err := p.ReadCommand(); err != io.EOF {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

func TestAwaitEnds(t *testing.T) {
	for _, kind := range serverKinds[:2] {
		t.Run(kind.name, func(t *testing.T) {
			p := kind.make(t)
			done := p.awaited()
			p.SetReadDeadline(time.Unix(1, 0))
			<-done
			p.Await()
			if _, err := p.ReadCommand(); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ended with %v", err)
			}
			p.SetReadDeadline(time.Now().Add(hang))
			done = p.awaited()
			p.Close()
			<-done
			if _, err := p.ReadCommand(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("ended with %v", err)
			}
		})
	}
}

// TestAwaitNoSocket checks that Await returns if the connection is not a socket.
func TestAwaitNoSocket(t *testing.T) {
	p := serverKinds[2].make(t)
	p.Await()
	go p.client.Write([]byte("zPING\x00"))
	if cmd, err := p.ReadCommand(); cmd != zPing || err != nil {
		t.Errorf("%+v, %v", cmd, err)
	}
}

// TestAwaitLosesNoDescriptor checks that a descriptor stays with its bytes.
func TestAwaitLosesNoDescriptor(t *testing.T) {
	for _, tt := range descriptorTests {
		t.Run(tt.name, func(t *testing.T) {
			files := serverFiles(t, 3)
			p := unixPair(t)
			p.sendAll(t, tt.messages, files, nil)
			p.Await()
			p.Await()
			p.steps(t, tt.steps, files)
			p.Close()
			p.client.Close()
			if n := openTimes(t, files); n != len(files) {
				t.Errorf("%d descriptors are left over", n-len(files))
			}
		})
	}
}

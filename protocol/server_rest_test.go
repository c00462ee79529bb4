package protocol

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"time"
)

// TestStreamRests checks that a stream whose client is silent rests, wherever that is, and loses
// nothing.
func TestStreamRests(t *testing.T) {
	const whole = "\x00\x00\x00\x02ab\x00\x00\x00\x01c\x00\x00\x00\x00"
	for _, kind := range serverKinds[:2] {
		for cut := range len(whole) {
			p := kind.make(t)
			s := p.Stream(0, hang)
			s.SetRest(time.Millisecond)
			s.SetPace(Pace{MinRate: 1, MaxTime: hang})
			var got bytes.Buffer
			p.send(t, whole[:cut])
			for {
				_, err := s.WriteTo(&got)
				if err == nil {
					t.Fatalf("%s: complete after %d bytes", kind.name, cut)
				}
				if err != ErrStreamRests {
					t.Fatalf("%s: after %d bytes: %v", kind.name, cut, err)
				}
				if p.Consumed() == int64(cut) {
					break
				}
			}
			done := p.awaited()
			p.send(t, whole[cut:])
			<-done
			for err := error(ErrStreamRests); err != nil; {
				if _, err = s.WriteTo(&got); err != nil && err != ErrStreamRests {
					t.Fatalf("%s: after %d bytes and a rest: %v", kind.name, cut, err)
				}
				if err != nil {
					p.Await()
				}
			}
			if s.rested {
				t.Errorf("%s: still rests after byte %d", kind.name, cut)
			}
			if got.String() != "abc" {
				t.Errorf("%s: got %q after a rest at byte %d", kind.name, got.String(), cut)
			}
		}
	}
}

// TestStreamRestEnds checks that a rest changes nothing about the limits of a stream.
func TestStreamRestEnds(t *testing.T) {
	for _, tt := range []struct {
		name    string
		timeout time.Duration
		pace    Pace
		send    string // while it rests
		end     func(p serverPair)
		want    error
	}{
		{name: "timeout", timeout: 20 * time.Millisecond, want: os.ErrDeadlineExceeded},
		{name: "too long", timeout: hang, pace: Pace{MaxTime: 20 * time.Millisecond}, want: ErrStreamLong},
		{name: "too slow", timeout: 20 * time.Millisecond, pace: Pace{MinRate: 1 << 20}, send: "x", want: ErrStreamSlow},
		{name: "client gone", timeout: hang, end: serverPair.end, want: io.ErrUnexpectedEOF},
	} {
		for _, kind := range serverKinds[:2] {
			p := kind.make(t)
			s := p.Stream(0, tt.timeout)
			s.SetRest(time.Millisecond)
			s.SetPace(tt.pace)
			p.send(t, "\x00\x00\x01\x00")
			_, err := s.WriteTo(io.Discard)
			if err != ErrStreamRests {
				t.Fatalf("%s, %s: did not rest: %v", tt.name, kind.name, err)
			}
			if tt.send != "" {
				p.send(t, tt.send)
			}
			if tt.end != nil {
				tt.end(p)
			}
			for err == ErrStreamRests {
				p.Await()
				_, err = s.WriteTo(io.Discard)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%s, %s: ended with %v", tt.name, kind.name, err)
			}
		}
	}
}

// TestStreamRestsOnlyOnSockets checks that a stream does not rest if Await does not wait.
func TestStreamRestsOnlyOnSockets(t *testing.T) {
	p := serverKinds[2].make(t)
	s := p.Stream(0, 20*time.Millisecond)
	s.SetRest(time.Millisecond)
	if _, err := s.WriteTo(io.Discard); p.Awaits() || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

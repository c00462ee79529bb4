package protocol

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestDrain(t *testing.T) {
	endless := func(p serverPair) {
		b := []byte(strings.Repeat(chunk(kib), 10))
		for {
			if _, err := p.client.Write(b); err != nil {
				return
			}
		}
	}
	write := func(wire string) func(p serverPair) {
		return func(p serverPair) {
			p.client.Write([]byte(wire))
			p.end()
		}
	}
	tests := []struct {
		name         string
		client       func(p serverPair)
		quiet, total time.Duration
		max          int64
		want         bool
	}{
		{"end marker", write(chunks(strings.Repeat(kib, 200), kib, "") + "zPING\x00"), hang, hang, 1 << 20, true},
		{"exactly the bytes", write(chunks(kib, kib, "") + "zPING\x00"), hang, hang, 2048, true},
		{"one byte too many", write(chunks(kib, kib, "")), hang, hang, 2047, false},
		{"no bytes", write(chunks(kib, "")), hang, hang, 0, false},
		{"client closes", write(chunks(kib)), hang, hang, 1 << 20, false},
		{"client silent", func(p serverPair) { p.client.Write([]byte(chunks(kib))) }, 20 * time.Millisecond, hang, 1 << 20, false},
		{"client silent in the header", func(p serverPair) { p.client.Write([]byte(chunks(kib) + "\x00")) }, hang, 20 * time.Millisecond, 1 << 20, false},
		{"endless, bytes", endless, hang, hang, 1 << 20, false},
		{"endless, time", endless, hang, 50 * time.Millisecond, 1 << 62, false},
		{"4 GiB", write("\xff\xff\xff\xff" + kib), hang, hang, 1 << 20, false},
	}
	for _, kind := range serverKinds {
		for _, tt := range tests {
			t.Run(kind.name+"/"+tt.name, func(t *testing.T) {
				p := kind.make(t)
				done := make(chan struct{})
				go func() {
					defer close(done)
					tt.client(p)
				}()
				s := p.Stream(1, hang)
				if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrStreamLimit) {
					t.Fatalf("ended with %v", err)
				}
				if got := s.Drain(tt.quiet, tt.total, tt.max); got != tt.want {
					t.Errorf("Drain reports %t", got)
				}
				if tt.want {
					p.steps(t, "PING, eof", nil)
				}
				p.Close()
				<-done
			})
		}
	}
}

// A client that sends a byte just before each quiet period ends must not extend Drain
// beyond its total time.
func TestDrainDripping(t *testing.T) {
	p := serverKinds[2].make(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.client.Write([]byte("\x00\x00\x00\x02"))
		for {
			if _, err := p.client.Write([]byte{1}); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	s := p.Stream(1, hang)
	if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrStreamLimit) {
		t.Fatalf("ended with %v", err)
	}
	if s.Drain(hang, 50*time.Millisecond, 1<<62) {
		t.Error("an endless stream has ended")
	}
	p.Close()
	<-done
}

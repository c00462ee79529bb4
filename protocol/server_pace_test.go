package protocol

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A trickler sends pieces with a pause before each.
type trickler struct {
	pieces int
	size   int
	pause  time.Duration
}

func TestPace(t *testing.T) {
	const timeout = 10 * time.Second
	rate, long := Pace{MinRate: 100}, Pace{MaxTime: time.Minute}
	for _, test := range []struct {
		name string
		pace Pace
		trickler
		want error // nil: the whole stream
		at   time.Duration
	}{
		{"none", Pace{}, trickler{100, 1, 9 * time.Second}, nil, 900 * time.Second},
		{"trickle", rate, trickler{100, 1, time.Second}, ErrStreamSlow, timeout},
		{"trickle of pauses", rate, trickler{100, 1, 9 * time.Second}, ErrStreamSlow, timeout},
		{"a little too slow", rate, trickler{100, 80, time.Second}, ErrStreamSlow, timeout},
		{"just enough", rate, trickler{100, 120, time.Second}, nil, 100 * time.Second},
		{"pauses as long as allowed", rate, trickler{20, 2000, 9 * time.Second}, nil, 180 * time.Second},
		{"silent", rate, trickler{1, 1, time.Hour}, os.ErrDeadlineExceeded, timeout},
		{"short and slow", rate, trickler{8, 1, time.Second}, nil, 8 * time.Second},
		{"long", long, trickler{100, 1000, time.Second}, ErrStreamLong, time.Minute},
		{"long in small steps", long, trickler{100000, 1, time.Millisecond}, ErrStreamLong, time.Minute},
		{"not too long", long, trickler{50, 1000, time.Second}, nil, 50 * time.Second},
		{"gone", Pace{MinRate: 100, MaxTime: time.Minute}, trickler{0, 0, 0}, io.ErrUnexpectedEOF, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := net.Pipe()
				defer server.Close()
				sent := test.start(client)
				start := time.Now()
				s := NewConn(server).Stream(0, timeout)
				s.SetPace(test.pace)
				n, err := s.WriteTo(io.Discard)
				if !errors.Is(err, test.want) || err != nil && test.want == nil {
					t.Errorf("%v, want %v", err, test.want)
				}
				if test.want == os.ErrDeadlineExceeded && (errors.Is(err, ErrStreamSlow) || errors.Is(err, ErrStreamLong)) {
					t.Errorf("%v, want the timeout's own error", err)
				}
				if test.want == nil && n != int64(test.pieces*test.size) {
					t.Errorf("%d bytes of %d", n, test.pieces*test.size)
				}
				if took := time.Since(start); took < test.at || took > test.at+time.Second {
					t.Errorf("after %v, want %v", took, test.at)
				}
				client.Close()
				<-sent
			})
		})
	}
}

// start sends from a goroutine, which closes the returned channel at its end.
func (s trickler) start(nc net.Conn) <-chan struct{} {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.send(nc)
	}()
	return sent
}

func (s trickler) send(nc net.Conn) {
	for range s.pieces {
		time.Sleep(s.pause)
		n := s.size
		head := string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
		if _, err := io.WriteString(nc, head+strings.Repeat("x", n)); err != nil {
			return
		}
	}
	if s.pieces == 0 {
		nc.Close()
		return
	}
	nc.Write(make([]byte, 4))
}

// Time spent in the writer counts for MaxTime, but not for MinRate.
func TestPaceOfTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		sent := trickler{50, 10, 0}.start(client)
		s := NewConn(server).Stream(0, 10*time.Second)
		s.SetPace(Pace{MinRate: 100})
		if _, err := s.WriteTo(slowWriter(time.Minute)); err != nil {
			t.Error(err)
		}
		client.Close()
		<-sent
	})
}

type slowWriter time.Duration

func (w slowWriter) Write(p []byte) (int, error) {
	time.Sleep(time.Duration(w))
	return len(p), nil
}

// MaxTime does not apply to Drain, which has its own limit.
func TestPaceAndDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		sent := trickler{100, 10, time.Second}.start(client)
		s := NewConn(server).Stream(0, 10*time.Second)
		s.SetPace(Pace{MaxTime: 5 * time.Second})
		if _, err := s.WriteTo(io.Discard); !errors.Is(err, ErrStreamLong) {
			t.Error(err)
		}
		if !s.Drain(2*time.Second, time.Hour, 1<<20) {
			t.Error("the rest was not read")
		}
		client.Close()
		<-sent
	})
}

// The write timeout applies to the whole reply.
func TestWriteReplyIsBoundedAsAWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for b := make([]byte, 1); ; time.Sleep(time.Second) {
				if _, err := client.Read(b); err != nil {
					return
				}
			}
		}()
		start := time.Now()
		err := NewConn(server).WriteReply(make([]byte, 1000), 10*time.Second)
		if !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) > 11*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		client.Close()
		<-ended
	})
}

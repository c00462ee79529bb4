package linetest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
)

// Serve plays an engine that scans files: it reads commands up to the byte end and writes
// the reply of answer, until the peer closes or quit is true.
func Serve(greeting string, end byte, answer func(command string, body io.Reader) (reply string, quit bool)) backendtest.Step {
	return Misbehave(backendtest.Misbehaviour{}, greeting, end, answer)
}

// Misbehave is Serve with an engine that misbehaves. [Path] in the odd answer is
// replaced by the path, and only answers about files are repeated.
func Misbehave(m backendtest.Misbehaviour, greeting string, end byte, answer func(command string, body io.Reader) (reply string, quit bool)) backendtest.Step {
	return func(s *backendtest.Session) error {
		var wg sync.WaitGroup
		defer wg.Wait()
		if _, err := io.WriteString(s, greeting); err != nil {
			return err
		}
		r := bufio.NewReader(s)
		for {
			command, err := r.ReadString(end)
			if err != nil {
				return err
			}
			command = strings.TrimRight(command, "\r\n\x00")
			reply, quit := answer(command, r)
			path := fileIn.FindString(command)
			if data, err := os.ReadFile(path); err == nil && m.Odd != "" && bytes.Contains(data, []byte(backendtest.MarkOdd)) {
				reply = strings.ReplaceAll(m.Odd, Path, path)
			}
			if _, err := io.WriteString(s, reply); err != nil {
				return err
			}
			if path != "" && m.Repeat > 0 {
				wg.Go(func() {
					time.Sleep(m.Repeat)
					io.WriteString(s, reply)
				})
			}
			if quit {
				return errors.New("the engine quits")
			}
		}
	}
}

// fileIn matches the path in a command.
var fileIn = regexp.MustCompile(`/[^\s?]+`)

// Alternate scans 300 objects, every other one infected, in several goroutines with an
// engine that misbehaves. Failures are allowed, but no infected object may be OK and no
// clean one infected. It returns the number of verdicts.
func Alternate(t *testing.T, b backends.Backend, workers int) (verdicts int) {
	t.Helper()
	objects := map[backends.Category]backends.Object{
		backends.OK: backendtest.CleanObject(t), backends.Virus: backendtest.Bytes(t, testfile.EICAR()),
	}
	var wg sync.WaitGroup
	var right atomic.Int64
	for w := range workers {
		wg.Go(func() {
			for i := w; i < 300; i += workers {
				want := backends.OK
				if i/workers%2 == 1 {
					want = backends.Virus
				}
				r, err := b.Scan(t.Context(), objects[want])
				switch {
				case r.Category != want && r.Category != "":
					t.Errorf("object %d is %s: %+v, %v", i, want, r, err)
				case r.Category == want:
					right.Add(1)
				}
			}
		})
	}
	wg.Wait()
	return int(right.Load())
}

// Repeats runs a step on a connection that sends everything written to it twice, the
// second time up to 60 ms later.
func Repeats(step backendtest.Step) backendtest.Step {
	return func(s *backendtest.Session) error {
		r := &repeating{Conn: s.Conn}
		defer r.wg.Wait()
		return step(&backendtest.Session{Conn: r, Done: s.Done})
	}
}

type repeating struct {
	net.Conn
	mu sync.Mutex
	wg sync.WaitGroup
}

func (r *repeating) Write(p []byte) (int, error) {
	again := bytes.Clone(p)
	r.wg.Go(func() {
		time.Sleep(time.Duration(rand.IntN(61)) * time.Millisecond)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Conn.Write(again)
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Conn.Write(p)
}

// Deaf returns a connection that sends text and ends, and ignores everything written to
// it, for fuzz targets of parsers that read from a connection.
func Deaf(text string) net.Conn { return deaf{strings.NewReader(text)} }

type deaf struct{ *strings.Reader }

func (deaf) Write(p []byte) (int, error)      { return len(p), nil }
func (deaf) Close() error                     { return nil }
func (deaf) LocalAddr() net.Addr              { return nil }
func (deaf) RemoteAddr() net.Addr             { return nil }
func (deaf) SetDeadline(time.Time) error      { return nil }
func (deaf) SetReadDeadline(time.Time) error  { return nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

// Marked returns [backendtest.Marked] of a file, or false if it cannot be read.
func Marked(path string) (category backends.Category, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	return backendtest.Marked(data), true
}

package logbuf

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// hang is how long a test waits for what must happen.
const hang = time.Minute

func notice(lost int) []byte { return fmt.Appendf(nil, "%d lost\n", lost) }

// sink is a file that a test can block or break.
type sink struct {
	mu   sync.Mutex
	text bytes.Buffer
	err  error // of every write, after this many bytes of it:
	torn int
	gate chan struct{} // nil: open; else each write receives from it
	size []int         // of each write
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = append(s.size, len(p))
	if s.err != nil {
		n := min(s.torn, len(p))
		s.torn -= n
		s.text.Write(p[:n])
		return n, s.err
	}
	return s.text.Write(p)
}

func (s *sink) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *sink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// written waits until all accepted lines are written.
func written(b *Buffer) {
	for {
		b.mu.Lock()
		held := len(b.lines) + b.taken + b.lost
		b.mu.Unlock()
		if held == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func wantText(t *testing.T, s *sink, want string) {
	t.Helper()
	if got := s.String(); got != want {
		t.Errorf("written\n%s\nwant\n%s", got, want)
	}
}

func TestOrder(t *testing.T) {
	s := &sink{}
	b := New(s, 1<<20, notice)
	var want strings.Builder
	for i := range 5000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		if i%100 == 0 {
			b.Important().Write([]byte(line))
		} else {
			b.Write([]byte(line))
		}
	}
	if !b.Close(hang) {
		t.Error("Close says that something is left")
	}
	wantText(t, s, want.String())
	for _, n := range s.size {
		if n > atomic {
			t.Errorf("%d bytes in one write, more than a pipe takes whole", n)
		}
	}
}

func TestLineIsWrittenSoon(t *testing.T) {
	s := &sink{}
	b := New(s, 1<<20, notice)
	defer b.Close(hang)
	b.Write([]byte("a\n"))
	written(b)
	wantText(t, s, "a\n")
}

// TestBlockedFile fills the buffer of a file that blocks.
func TestBlockedFile(t *testing.T) {
	s := &sink{gate: make(chan struct{})}
	b := New(s, 100, notice)
	b.Write([]byte("first\n"))
	for range 1000 {
		b.Write([]byte("123456789\n"))
	}
	b.Important().Write([]byte("important\n")) // uses the reserve
	close(s.gate)
	written(b)
	b.Write([]byte("after\n"))
	b.Close(hang)
	got := s.String()
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	kept := strings.Count(got, "123456789")
	if kept != 9 {
		t.Errorf("%d ordinary lines kept in 100 bytes, want 9", kept)
	}
	want := fmt.Sprintf("%d lost", 1000-kept)
	if n := len(lines); lines[0] != "first" || lines[n-3] != want || lines[n-2] != "important" || lines[n-1] != "after" {
		t.Errorf("written\n%s\nwant first, the lines kept, %q, important, after", got, want)
	}
}

// TestLossAtTheEnd has no line after the lost ones, which are reported nevertheless.
func TestLossAtTheEnd(t *testing.T) {
	s := &sink{gate: make(chan struct{})}
	b := New(s, 20, notice)
	defer b.Close(hang)
	for range 5 {
		b.Write([]byte("123456789\n"))
	}
	close(s.gate)
	written(b)
	wantText(t, s, "123456789\n123456789\n3 lost\n")
}

// TestFullDisk splits a line and fails for a while. What fits into the buffer is written
// later, starting with the rest of the line.
func TestFullDisk(t *testing.T) {
	s := &sink{err: errors.New("no space left on device"), torn: 4}
	b := New(s, 1<<20, notice)
	for i := range 3 {
		b.Write(fmt.Appendf(nil, "line %d\n", i))
	}
	for s.String() == "" {
		time.Sleep(time.Millisecond)
	}
	s.fail(nil)
	written(b)
	b.Close(hang)
	wantText(t, s, "line 0\nline 1\nline 2\n")
}

// TestCloseIsBounded closes while the file blocks, and while it fails.
func TestCloseIsBounded(t *testing.T) {
	stuck := &sink{gate: make(chan struct{})}
	b := New(stuck, 1<<20, notice)
	b.Write([]byte("a\n"))
	if b.Close(time.Millisecond) {
		t.Error("Close says that all is written; nothing is")
	}
	close(stuck.gate)

	broken := &sink{err: errors.New("broken pipe")}
	b = New(broken, 1<<20, notice)
	b.Write([]byte("a\n"))
	if b.Close(hang) {
		t.Error("Close says that all is written; nothing is")
	}
	b.Write([]byte("late\n")) // must not panic
	b.Close(hang)             // nor must another Close
}

// TestFullPipe has a pipe without a reader, like a daemon.
func TestFullPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	b := New(w, 1<<20, notice)
	line := []byte(strings.Repeat("x", 99) + "\n")
	const lines = 20_000
	for range lines {
		b.Write(line)
	}
	var got bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		got.ReadFrom(r)
	}()
	written(b)
	b.Close(hang)
	w.Close()
	<-done
	kept, lost := bytes.Count(got.Bytes(), line), 0
	for l := range strings.Lines(got.String()) {
		var n int
		if _, err := fmt.Sscanf(l, "%d lost", &n); err == nil {
			lost += n
		}
	}
	if lost == 0 || kept+lost != lines {
		t.Errorf("%d lines kept, %d said to be lost, of %d", kept, lost, lines)
	}
}

func TestConcurrentWriters(t *testing.T) {
	s := &sink{}
	b := New(s, 1<<20, notice)
	var writers sync.WaitGroup
	for range 8 {
		writers.Go(func() {
			for i := range 500 {
				if i%50 == 0 {
					b.Important().Write([]byte("important\n"))
				}
				b.Write([]byte("ordinary line\n"))
			}
		})
	}
	writers.Wait()
	b.Close(hang)
	if n := strings.Count(s.String(), "\n"); n != 8*510 {
		t.Errorf("%d lines, want %d", n, 8*510)
	}
}

// TestExpendable checks that lines which may be lost leave room for the others.
func TestExpendable(t *testing.T) {
	s := &sink{gate: make(chan struct{})}
	b := New(s, 100, notice)
	for range 1000 {
		b.Expendable().Write([]byte("debugging\n"))
	}
	for range 4 {
		b.Write([]byte("ordinary.\n"))
	}
	close(s.gate)
	b.Close(hang)
	got := s.String()
	if n := strings.Count(got, "debugging"); n != 5 || strings.Count(got, "ordinary.") != 4 || !strings.Contains(got, "995 lost\n") {
		t.Errorf("%d expendable lines of 5:\n%s", n, got)
	}
}

// TestLost drops lines of every kind. The notices do not reset the count.
func TestLost(t *testing.T) {
	s := &sink{gate: make(chan struct{})}
	b := New(s, 8, notice)
	for _, line := range []string{"12345678\n9\n", "a\nb\nc\nd\ne\n"} {
		b.Write([]byte(line))
	}
	b.Expendable().Write([]byte("1234\n5\n"))
	b.Important().Write([]byte("1234567890\n"))
	if n := b.Lost(); n != 2+5+2+1 {
		t.Errorf("%d lines lost, want 10", n)
	}
	close(s.gate)
	b.Write([]byte("ok\n")) // after a notice
	written(b)
	b.Write([]byte("1234567890\n"))
	b.Close(hang)
	if n := b.Lost(); n != 11 {
		t.Errorf("%d lines lost, want 11", n)
	}
	wantText(t, s, "10 lost\nok\n1 lost\n")
}

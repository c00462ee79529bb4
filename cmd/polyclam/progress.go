package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/cmd/internal/size"
)

const (
	progressDelay  = time.Second            // a short scan shows nothing
	progressPeriod = 200 * time.Millisecond // between updates
)

// progress shows the progress of a scan in one line on a terminal. It clears the line before
// anything else is printed. Without a terminal it shows nothing. It is safe for concurrent
// use.
type progress struct {
	w     *os.File // nil: show nothing
	end   chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex
	shown bool
	done  bool
	files int64
	bytes int64  // size of finished objects
	sent  int64  // bytes read from the objects that were sent
	name  string // of the object begun last
}

func newProgress(w io.Writer) *progress {
	p := &progress{end: make(chan struct{})}
	f, ok := w.(*os.File)
	if !ok || !isTerminal(f) {
		return p
	}
	p.w = f
	p.ended.Add(1)
	go p.run()
	return p
}

func (p *progress) run() {
	defer p.ended.Done()
	select {
	case <-time.After(progressDelay):
	case <-p.end:
		return
	}
	tick := time.NewTicker(progressPeriod)
	defer tick.Stop()
	for {
		p.draw()
		select {
		case <-tick.C:
		case <-p.end:
			return
		}
	}
}

// begin records that the scan of an object begins.
func (p *progress) begin(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name = name
}

// read records that n bytes of an object were read to be sent.
func (p *progress) read(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent += int64(n)
}

// add records an outcome.
func (p *progress) add(oc outcome) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files++
	p.bytes += oc.Size
}

func (p *progress) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	line := fmt.Sprintf("%s, %s: %s", plural(p.files, "file"), size.Human(max(p.bytes, p.sent)), printable(p.name))
	fmt.Fprintf(p.w, "\r\x1b[K%s", cut(line, width(p.w)-1))
	p.shown = true
}

// print clears the line, and writes text to w.
func (p *progress) print(w io.Writer, text string) error {
	if text == "" {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	_, err := io.WriteString(w, text)
	return err
}

// clear clears the line. The caller holds mu.
func (p *progress) clear() {
	if p.shown {
		io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// close ends the progress. One goroutine may call it several times.
func (p *progress) close() {
	p.mu.Lock()
	p.clear()
	if !p.done {
		p.done = true
		close(p.end)
	}
	p.mu.Unlock()
	p.ended.Wait()
}

// cut shortens a line to n characters. It cuts in the middle, because both ends of a path
// matter.
func cut(line string, n int) string {
	r := []rune(line)
	if len(r) <= n {
		return line
	}
	const dots = "..."
	if n <= 2*len(dots) {
		return string(r[:max(n, 0)])
	}
	head := (n - len(dots)) / 2
	return string(r[:head]) + dots + string(r[len(r)-(n-len(dots)-head):])
}

func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// width returns the number of columns of a terminal.
func width(f *os.File) int {
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 20 {
		return 80
	}
	return int(size.Col)
}

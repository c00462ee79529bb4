package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/spool"
	"polyclam/proxy/testfile"
)

// text is a content for tests; it counts its users when asked to.
type text struct {
	*strings.Reader
	users atomic.Int64
}

func content(s string) *text { return &text{Reader: strings.NewReader(s)} }

func (*text) File() (*os.File, error) { return nil, errors.New("test content has no file") }
func (*text) Path() (string, error)   { return "", errors.New("test content has no path") }
func (t *text) Retain()               { t.users.Add(1) }
func (t *text) Release()              { t.users.Add(-1) }

// engine is a scripted engine: it counts, and answers what its fields say at
// the time.
type engine struct {
	mu     sync.Mutex
	blind  bool          // answers clean to everything
	err    error         // answers this instead
	canary error         // to canaries only
	gate   chan struct{} // real scans wait for a piece of it, or the end of their context
	hold   chan struct{} // canaries wait for a piece of it, or the end of their context
	answer func(ctx context.Context, o backends.Object) (backends.Result, error)

	begun    chan string // gets the content of each real scan, if not nil
	scans    int         // real ones
	canaries []time.Time
	before   []int // real scans before each of them
	running  int
	most     int
}

// set changes the script.
func (e *engine) set(change func(e *engine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(e)
}

// asked is the number of real scans.
func (e *engine) asked() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.scans
}

// proved are the times of the health checks.
func (e *engine) proved() []time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]time.Time(nil), e.canaries...)
}

func read(o backends.Object) []byte {
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		panic(err)
	}
	return b
}

// Scan implements backends.Backend.
func (e *engine) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	data := read(o)
	_, isControl := testfile.NonceOf(data)
	isCanary := isTestObject(data)
	e.mu.Lock()
	e.running++
	e.most = max(e.most, e.running)
	if isControl {
		e.canaries = append(e.canaries, time.Now())
		e.before = append(e.before, e.scans)
	}
	if !isCanary {
		e.scans++
	}
	blind, err, answer, gate, begun := e.blind, e.err, e.answer, e.gate, e.begun
	if isCanary {
		gate, answer, begun = e.hold, nil, nil
		if e.canary != nil {
			err = e.canary
		}
	}
	e.mu.Unlock()
	defer e.set(func(e *engine) { e.running-- })
	if begun != nil {
		begun <- string(data)
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return backends.Result{}, ctx.Err()
		}
	}
	switch {
	case err != nil:
		return backends.Result{}, err
	case answer != nil:
		return answer(ctx, o)
	case blind:
		return backends.Clean(0), nil
	case isCanary:
		return judged(data), nil
	case strings.Contains(string(data), "virus"):
		return backends.Found(1, "Some.Virus"), nil
	}
	return backends.Clean(0), nil
}

var testArchives = [][]byte{testfile.Encrypted(), testfile.ZippedEICAR(), testfile.LockedThenEICAR(), testfile.DeepThenEICAR()}

// isTestObject reports whether data is one of the small objects of a health check.
func isTestObject(data []byte) bool {
	_, isControl := testfile.NonceOf(data)
	return isControl || bytes.Equal(data, testfile.EICAR()) ||
		slices.ContainsFunc(testArchives, func(archive []byte) bool { return bytes.Equal(data, archive) })
}

// judged is what an honest engine says of a test object.
func judged(data []byte) backends.Result {
	switch {
	case bytes.Contains(data, testfile.EICAR()):
		return backends.Found(1, "Eicar-Test-Signature")
	case bytes.Equal(data, testfile.Encrypted()):
		return backends.Found(1, "Heuristics.Encrypted.Zip")
	}
	return backends.Clean(0)
}

// testSpool keeps the test objects of all tests that do not look into it.
var testSpool *spool.Spool

func TestMain(m *testing.M) {
	var err error
	if testSpool, err = spool.New(spool.Config{}); err != nil {
		panic(err)
	}
	code := m.Run()
	if got := testSpool.Stats(); code == 0 && got != (spool.Stats{}) {
		fmt.Printf("left in the spool: %+v\n", got)
		code = 1
	}
	os.Exit(code)
}

// drain empties the budget of hedges.
func drain(u *Engine) {
	for u.budget.Spend() {
	}
}

// config is an engine with these engines, at the addresses a, b, c ...
func config(engines ...backends.Backend) Config {
	c := Config{Name: "fake", Kind: "scripted", Required: true, Timeout: 10 * time.Second, Log: zerolog.Nop(), Spool: testSpool}
	for i, e := range engines {
		c.Nodes = append(c.Nodes, Node{Address: string(rune('a' + i)), Backend: e})
	}
	return c
}

// within is a context with a deadline d away.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// errRefused is what dialling a dead engine gives.
var errRefused = fmt.Errorf("dial: %w", os.NewSyscallError("connect", syscall.ECONNREFUSED))

// wantCategory checks what a scan amounts to.
func wantCategory(t *testing.T, r backends.Result, err error, want backends.Category) {
	t.Helper()
	got := r.Category
	if err != nil && r.Category == "" {
		got = backends.CategoryOf(err)
	}
	if got != want {
		t.Errorf("category %q (error %v), want %q", got, err, want)
	}
}

// wantIdle checks that no slot is taken and nobody waits.
func wantIdle(t *testing.T, u *Engine) {
	t.Helper()
	s := u.Status()
	if s.Waiting != 0 {
		t.Errorf("%d waiting", s.Waiting)
	}
	for _, n := range s.Nodes {
		if n.InFlight != 0 {
			t.Errorf("node %s: %d in flight", n.Address, n.InFlight)
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if queued := len(u.queue.Heads()); u.inFlight != 0 || queued != 0 || u.queue.Scans() != 0 {
		t.Errorf("%d slots taken, %d queued", u.inFlight, queued+u.queue.Scans())
	}
	for _, n := range u.nodes {
		if len(n.held) != 0 {
			t.Errorf("node %s: slots held: %v", n.address, n.held)
		}
	}
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is the number of lines with all of these parts.
func (l *lines) count(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.buf.String()) {
		hit := true
		for _, p := range parts {
			hit = hit && strings.Contains(line, p)
		}
		if hit {
			n++
		}
	}
	return n
}

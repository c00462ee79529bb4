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
	"polyclam/backends/testfile"
	"polyclam/proxy/spool"
)

// textObject is an object in memory that counts its users.
type textObject struct {
	*strings.Reader
	users   atomic.Int64
	tainted atomic.Bool
}

func text(s string) *textObject { return &textObject{Reader: strings.NewReader(s)} }

func (*textObject) File() (*os.File, error) { return nil, errors.New("test object has no file") }
func (*textObject) Path() (string, error)   { return "", errors.New("test object has no path") }
func (t *textObject) Taint()                { t.tainted.Store(true) }
func (*textObject) Sealed() bool            { return true }
func (t *textObject) Retain()               { t.users.Add(1) }
func (t *textObject) Release()              { t.users.Add(-1) }

// fakeEngine is a scripted engine: it counts scans, and answers as its fields say.
type fakeEngine struct {
	mu     sync.Mutex
	blind  bool          // calls everything clean
	err    error         // fails with this instead
	canary error         // fails health checks with this
	delay  time.Duration // of health checks

	archives error         // fails the test archives with this
	gate     chan struct{} // scans wait to receive from it, or for the end of their context
	hold     chan struct{} // test objects likewise
	answer   func(ctx context.Context, o backends.Object) (backends.Result, error)

	begun    chan string // gets the bytes of each real scan, if not nil
	scans    int         // without test objects
	canaries []time.Time
	before   []int // scans before each of them
	running  int
	most     int
	checking int // of those running, test objects
	busiest  int // the most scans together, without test objects
}

// inline makes scans of fakeEngine run on the goroutines of their callers. Tests that are
// sensitive to it run in both ways, see bothWays.
var inline atomic.Bool

// bothWays runs a test with scans on the goroutines of their callers and on others.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, way := range []struct {
		name   string
		inline bool
	}{{"goroutine", false}, {"inline", true}} {
		t.Run(way.name, func(t *testing.T) {
			defer inline.Store(inline.Swap(way.inline))
			test(t)
		})
	}
}

// ReturnsInTime implements [backends.Deadlined].
func (*fakeEngine) ReturnsInTime() bool { return inline.Load() }

// set changes the script.
func (f *fakeEngine) set(change func(f *fakeEngine)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

// asked returns the number of scans, not counting test objects.
func (f *fakeEngine) asked() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.scans
}

// checks returns the times of the health checks.
func (f *fakeEngine) checks() []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.canaries...)
}

func read(o backends.Object) []byte {
	b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
	if err != nil {
		panic(err)
	}
	return b
}

// Scan implements backends.Backend.
func (f *fakeEngine) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	data := read(o)
	_, isControl := testfile.NonceOf(data)
	isCanary := isTestObject(data)
	f.mu.Lock()
	f.running++
	f.most = max(f.most, f.running)
	if isCanary {
		f.checking++
		defer f.set(func(f *fakeEngine) { f.checking-- })
	}
	f.busiest = max(f.busiest, f.running-f.checking)
	if isControl {
		f.canaries = append(f.canaries, time.Now())
		f.before = append(f.before, f.scans)
	}
	if !isCanary {
		f.scans++
	}
	blind, err, answer, gate, begun := f.blind, f.err, f.answer, f.gate, f.begun
	if isCanary {
		gate, answer, begun = f.hold, nil, nil
		if f.canary != nil {
			err = f.canary
		}
		if f.archives != nil && bytes.HasPrefix(data, []byte("PK")) {
			err = f.archives
		}
	}
	delay := f.delay
	f.mu.Unlock()
	defer f.set(func(f *fakeEngine) { f.running-- })
	if isCanary {
		time.Sleep(delay)
	}
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

var testArchives = [][]byte{testfile.Encrypted(), testfile.ZippedEICAR(), testfile.PackedEICAR(), testfile.LockedThenEICAR(), testfile.DeepThenEICAR()}

// isTestObject reports whether data is one of the small objects of a health check.
func isTestObject(data []byte) bool {
	_, isControl := testfile.NonceOf(data)
	return isControl || isTestMail(data) || bytes.Equal(data, testfile.EICAR()) ||
		slices.ContainsFunc(testArchives, func(archive []byte) bool { return bytes.Equal(data, archive) })
}

// isTestMail reports whether data is the mail of a health check.
func isTestMail(data []byte) bool {
	begin, _, _ := bytes.Cut(testfile.MailedEICAR(testfile.Nonce{}), []byte("Message-ID"))
	return bytes.HasPrefix(data, begin)
}

// judged is the result of a working engine for a test object.
func judged(data []byte) backends.Result {
	switch {
	case bytes.Contains(data, testfile.EICAR()), bytes.Equal(data, testfile.PackedEICAR()), isTestMail(data):
		return backends.Found(1, "Eicar-Test-Signature")
	case bytes.Equal(data, testfile.Encrypted()):
		return backends.Found(1, "Heuristics.Encrypted.Zip")
	}
	return backends.Clean(0)
}

// testSpool is the spool of all tests that do not examine it.
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

// drain empties the hedging budget.
func drain(e *Engine) {
	for e.budget.Spend() {
	}
}

// config returns the configuration of an engine with these backends at addresses a, b, c ...
func config(engines ...backends.Backend) Config {
	c := Config{Name: "fake", Kind: "scripted", Required: true, Timeout: 10 * time.Second, Log: zerolog.Nop(), Spool: testSpool}
	for i, f := range engines {
		c.Nodes = append(c.Nodes, Node{Address: string(rune('a' + i)), Backend: f})
	}
	return c
}

// within returns a context that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// errRefused is the error from dialing a dead engine.
var errRefused = fmt.Errorf("dial: %w", os.NewSyscallError("connect", syscall.ECONNREFUSED))

// wantCategory checks the category of a result or, if there is one, the error.
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

// wantScan scans s and checks the category.
func wantScan(t *testing.T, e *Engine, s string, want backends.Category) {
	t.Helper()
	r := e.Scan(t.Context(), text(s), false)
	wantCategory(t, r.Result, r.Err, want)
}

// wantIdle checks that no slot is taken and no ticket waits.
func wantIdle(t *testing.T, e *Engine) {
	t.Helper()
	s := e.Status()
	if s.Waiting != 0 {
		t.Errorf("%d waiting", s.Waiting)
	}
	for _, n := range s.Nodes {
		if n.InFlight != 0 {
			t.Errorf("node %s: %d in flight", n.Address, n.InFlight)
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if queued := len(e.queue.Heads()); e.inFlight != 0 || queued != 0 || e.queue.Scans() != 0 {
		t.Errorf("%d slots taken, %d queued", e.inFlight, queued+e.queue.Scans())
	}
	for _, n := range e.nodes {
		if len(n.held) != 0 {
			t.Errorf("node %s: slots held: %v", n.address, n.held)
		}
	}
}

// lines is a log in memory.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// count is the number of lines that contain all of parts.
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

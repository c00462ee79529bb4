package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
)

// loading is an engine that answers nothing while it loads signatures, like clamd with
// ConcurrentDatabaseReload no.
type loading struct {
	fakeEngine
	latency  time.Duration // of a scan
	takes    time.Duration // the time to load
	fails    error         // the error of Reload
	blinded  bool          // it is blind after Reload
	together *atomic.Int64 // engines that are loading

	loaded  chan struct{} // closed when it has loaded; nil: it is not loading
	reloads int
	early   int // objects received while loading
}

// Reload implements backends.Reloader.
func (l *loading) Reload(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reloads++
	if l.fails != nil {
		return l.fails
	}
	l.loaded = make(chan struct{})
	l.together.Add(1)
	time.AfterFunc(l.takes, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(l.loaded)
		l.loaded = nil
		l.blind = l.blinded
		l.together.Add(-1)
	})
	return nil
}

// Scan implements backends.Backend.
func (l *loading) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	isMail := !isTestObject(read(o))
	l.mu.Lock()
	loaded := l.loaded
	if isMail && loaded != nil {
		l.early++
	}
	l.mu.Unlock()
	if loaded != nil {
		select {
		case <-loaded:
		case <-ctx.Done():
			return backends.Result{}, ctx.Err()
		}
	}
	if isMail {
		time.Sleep(l.latency)
	}
	return l.fakeEngine.Scan(ctx, o)
}

// counts returns how often l was reloaded, and how many objects arrived while it was loading.
func (l *loading) counts() (reloads, early int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reloads, l.early
}

// fleet returns three engines that take 20 s to load.
func fleet() []*loading {
	together := new(atomic.Int64)
	var all []*loading
	for range 3 {
		all = append(all, &loading{latency: 300 * time.Millisecond, takes: 20 * time.Second, together: together})
	}
	return all
}

// upAndRunning returns an engine with these backends, all of them up.
func upAndRunning(t *testing.T, log *lines, change func(*Config), engines ...*loading) *Engine {
	t.Helper()
	var nodes []backends.Backend
	for _, f := range engines {
		nodes = append(nodes, f)
	}
	cfg := withCanary(nodes...)
	if log != nil {
		cfg.Log = zerolog.New(log)
	}
	if change != nil {
		change(&cfg)
	}
	e := New(cfg)
	run(t, e)
	time.Sleep(2 * time.Second)
	return e
}

// mails is a steady stream of scans.
type mails struct {
	under   sync.WaitGroup
	failed  atomic.Int64
	longest atomic.Int64
}

// send starts a scan every interval, until the total time is over.
func (m *mails) send(t *testing.T, e *Engine, interval, total time.Duration) {
	for end := time.Now().Add(total); time.Now().Before(end); time.Sleep(interval) {
		m.under.Go(func() {
			r := e.Scan(t.Context(), text("a virus"), false)
			if r.Err != nil || r.Result.Category != backends.Virus {
				m.failed.Add(1)
				t.Errorf("scan on %q: %q, %v", r.Node, r.Result.Category, r.Err)
			}
			for longest := m.longest.Load(); int64(r.Elapsed) > longest; longest = m.longest.Load() {
				m.longest.CompareAndSwap(longest, int64(r.Elapsed))
			}
		})
	}
}

// wantStates is wantState, but reasons do not matter.
func wantStates(t *testing.T, e *Engine, want ...string) {
	t.Helper()
	for i, n := range e.Status().Nodes {
		if n.State != want[i] {
			t.Errorf("node %s is %s, want %s", n.Address, n.State, want[i])
		}
	}
}

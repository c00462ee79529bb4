package files

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

func as(uid uint32) context.Context {
	return client.NewContext(context.Background(), client.User(uid))
}

// hung starts an operation that returns only when release is closed, and gives up on it.
func hung(t *testing.T, p *Pool, uid uint32, release chan struct{}, drop func(int)) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(as(uid))
	begun := make(chan struct{})
	go func() { <-begun; cancel(errors.New("no patience")) }()
	_, err := Do(ctx, p, "hanging", func() (int, error) { close(begun); <-release; return 7, nil }, drop)
	var stuck *StuckError
	if !errors.As(err, &stuck) || !strings.Contains(err.Error(), "hanging: the file system did not answer: no patience") {
		t.Fatalf("got %v", err)
	}
}

// TestWrittenOff checks that threads that were written off count against the pool and their
// client's share until they return, and that their results are dropped.
func TestWrittenOff(t *testing.T) {
	p := NewPool(8)
	release := make(chan struct{})
	var dropped atomic.Int32
	for range 6 {
		hung(t, p, 1, release, func(n int) { dropped.Add(int32(n)) })
	}
	if st := p.Stats(); st.Busy != 6 || st.WrittenOff != 6 || st.Limit != 8 {
		t.Errorf("%+v", st)
	}
	// The client has used up its share: the error names the client and the key.
	ctx, cancel := context.WithTimeout(as(1), 10*time.Millisecond)
	defer cancel()
	_, err := Do(ctx, p, "opening the file", func() (int, error) { t.Error("ran"); return 0, nil }, nil)
	if err == nil || !strings.Contains(err.Error(), "uid 1 has its share of limits.file_threads, 6 of 8, in use, 6 of them") {
		t.Errorf("got %v", err)
	}
	// Another client has not.
	if n, err := Do(as(2), p, "", func() (int, error) { return 1, nil }, nil); n != 1 || err != nil {
		t.Errorf("another client: %d, %v", n, err)
	}
	close(release)
	testkit.Eventually(t, "all threads return", func() bool { return p.Stats() == Stats{Limit: 8} })
	if dropped.Load() != 42 {
		t.Errorf("dropped %d, want 42", dropped.Load())
	}
	if len(p.members) > 0 {
		t.Errorf("%d clients are left in the pool", len(p.members))
	}
}

// TestTurns checks that waiting clients get threads in turn, whatever the order of their
// operations.
func TestTurns(t *testing.T) {
	p := NewPool(1)
	release := make(chan struct{})
	hung(t, p, 9, release, nil)
	var mu sync.Mutex
	var order []uint32
	var wg sync.WaitGroup
	for i, uid := range []uint32{1, 1, 1, 2, 3} {
		wg.Go(func() {
			Do(as(uid), p, "", func() (int, error) {
				mu.Lock()
				defer mu.Unlock()
				order = append(order, uid)
				return 0, nil
			}, nil)
		})
		testkit.Eventually(t, "the operation waits", func() bool { return p.Stats().Waiting == i+1 })
	}
	close(release)
	wg.Wait()
	if got := order[:3]; got[0] == got[1] || got[1] == got[2] || got[0] == got[2] {
		t.Errorf("order %v: not in turn", order)
	}
}

// TestFull checks that the daemon itself may use the whole pool, and that the error for a
// full pool names the key.
func TestFull(t *testing.T) {
	p := NewPool(4)
	release := make(chan struct{})
	defer close(release)
	hung(t, p, 1, release, nil)
	hung(t, p, 2, release, nil)
	hung(t, p, 3, release, nil)
	begun := make(chan struct{})
	go Do(context.Background(), p, "", func() (int, error) { close(begun); <-release; return 0, nil }, nil)
	<-begun
	ctx, cancel := context.WithTimeout(as(4), time.Millisecond)
	defer cancel()
	_, err := Do(ctx, p, "opening the file", func() (int, error) { return 0, nil }, nil)
	if err == nil || !strings.Contains(err.Error(), "all 4 of limits.file_threads are in use, 3 of them for file systems that do not answer") {
		t.Errorf("got %v", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v hides the cause", err)
	}
}

func TestPanicInOperation(t *testing.T) {
	p := NewPool(1)
	defer func() {
		if recover() == nil {
			t.Error("the panic is lost")
		}
		if st := p.Stats(); st.Busy != 0 {
			t.Errorf("%+v", st)
		}
	}()
	Do(context.Background(), p, "", func() (int, error) { panic("oops") }, nil)
}

// TestCrowded checks the limit on closes that wait, per client.
func TestCrowded(t *testing.T) {
	p := NewPool(4)
	release := make(chan struct{})
	for range 3 {
		p.closeLater(client.User(1), func() { <-release })
	}
	var closed atomic.Int32
	for range maxClosing {
		p.closeLater(client.User(1), func() { closed.Add(1) })
	}
	if !p.Crowded(client.User(1)) || p.Crowded(client.User(2)) {
		t.Error("the wrong client is crowded")
	}
	if st := p.Stats(); st.Busy != 3 || st.Closing != maxClosing {
		t.Errorf("%+v", st)
	}
	close(release)
	testkit.Eventually(t, "everything is closed", func() bool { return p.Stats() == Stats{Limit: 4} && closed.Load() == maxClosing })
}

// TestChaos runs operations of many clients that return early, late, or not until the end.
// The number of threads is limited, and none are lost.
func TestChaos(t *testing.T) {
	const limit = 8
	p := NewPool(limit)
	var running, most atomic.Int32
	never := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			for j := range 20 {
				ctx, cancel := context.WithTimeout(as(uint32(i%5)), time.Duration((i+j)%3)*time.Millisecond)
				Do(ctx, p, "", func() (int, error) {
					n := running.Add(1)
					defer running.Add(-1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					if (i+j)%97 == 0 {
						<-never
					}
					return 0, nil
				}, func(int) {})
				cancel()
			}
		})
	}
	wg.Wait()
	close(never)
	testkit.Eventually(t, "the pool is empty", func() bool { return p.Stats() == Stats{Limit: limit} })
	if most.Load() > limit {
		t.Errorf("%d concurrent operations, want at most %d", most.Load(), limit)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.members) > 0 || p.turns.Len() > 0 {
		t.Errorf("%d clients, %d turns are left", len(p.members), p.turns.Len())
	}
}

package budget

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// The tests use the figures of walks: 132 descriptors, and requests for 33 or 17.
const total, large, small = 132, 33, 17

func descriptors(total int64, share int) *Descriptors {
	return NewDescriptors(func() Limit { return Limit{total, share} })
}

func (g *Grant) granted() bool {
	select {
	case <-g.Ready():
		return true
	default:
		return false
	}
}

// waiting is the number of clients that wait.
func (d *Descriptors) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.queue.clients)
}

func wantUnused(t *testing.T, d *Descriptors) {
	t.Helper()
	if held := d.queue.held.Sum(); held != 0 || d.waiting() != 0 || d.queue.ring.Len() != 0 {
		t.Errorf("%d descriptors are held, and %d clients wait", held, d.waiting())
	}
}

// TestConcurrentRequests makes requests from fifty goroutines of five clients. A third
// of them give up while they wait.
func TestConcurrentRequests(t *testing.T) {
	for _, share := range []int{0, 10, 75, 100} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			d := descriptors(total, share)
			var mu sync.Mutex
			var held, granted, most int
			var wg sync.WaitGroup
			for i := range 50 {
				key, n := client.User(uint32(i%5)), small
				if i%2 == 0 {
					n = large
				}
				wg.Go(func() {
					for range 100 {
						g := d.Ask(key, n)
						ctx, cancel := context.WithCancel(t.Context())
						if i%3 == 0 {
							cancel()
						}
						select {
						case <-g.Ready():
							mu.Lock()
							granted++
							held += n
							most = max(most, held)
							mu.Unlock()
							for range rand.IntN(5) {
								runtime.Gosched()
							}
							mu.Lock()
							held -= n
							mu.Unlock()
						case <-ctx.Done():
						}
						g.Release()
						cancel()
					}
				})
			}
			wg.Wait()
			wantUnused(t, d)
			if granted < 33*100 || most < large || most > total {
				t.Errorf("%d requests granted, at most %d descriptors of %d held", granted, most, total)
			}
		})
	}
}

func TestTurns(t *testing.T) {
	type ask struct {
		client uint32
		n      int
	}
	for _, tt := range []struct {
		name    string
		held    []ask
		waiting []ask
		early   []int // of waiting, granted while the others are held
		later   []int // of waiting, granted when nothing else is held
	}{
		{"one client leaves enough for another", []ask{{1, large}, {1, large}, {1, large}},
			[]ask{{1, small}, {2, large}}, []int{1}, []int{0}},
		{"a smaller request does not overtake a client that holds nothing", []ask{{1, 99}, {2, small}},
			[]ask{{3, large}, {4, 1}}, nil, []int{0, 1}},
		{"one of each client", []ask{{1, total}},
			[]ask{{1, 90}, {1, 90}, {2, large}}, nil, []int{0, 2}},
		{"more than there is, after a reload", []ask{{1, total}},
			[]ask{{2, 500}}, nil, []int{0}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := descriptors(total, 75)
			var held, waiting []*Grant
			for _, a := range tt.held {
				g := d.Ask(client.User(a.client), a.n)
				if !g.granted() {
					t.Fatalf("no room for %d descriptors of client %d", a.n, a.client)
				}
				held = append(held, g)
			}
			for _, a := range tt.waiting {
				waiting = append(waiting, d.Ask(client.User(a.client), a.n))
			}
			granted := func() (which []int) {
				for i, g := range waiting {
					if g.granted() {
						which = append(which, i)
					}
				}
				return which
			}
			if got := granted(); !slices.Equal(got, tt.early) {
				t.Errorf("%v are granted at first, want %v", got, tt.early)
			}
			for _, g := range held {
				g.Release()
			}
			want := slices.Sorted(slices.Values(append(tt.early, tt.later...)))
			if got := granted(); !slices.Equal(got, want) {
				t.Errorf("%v are granted in the end, want %v", got, want)
			}
		})
	}
}

// TestWithdraw withdraws the first request in the queue. Smaller ones after it are granted.
func TestWithdraw(t *testing.T) {
	d := descriptors(total, 75)
	d.Ask(client.User(1), 120)
	first, second := d.Ask(client.User(2), large), d.Ask(client.User(3), 5)
	if first.granted() || second.granted() {
		t.Fatal("granted while the first client holds too much")
	}
	first.Release()
	if !second.granted() {
		t.Error("a request that fits is not granted")
	}
}

// TestAllowance checks that a session always has one descriptor, and that the common ones
// are shared between clients.
func TestAllowance(t *testing.T) {
	d := descriptors(8, 75)
	var sessions []*Allowance
	var releases []func()
	for range 10 {
		a := NewAllowance(d, client.User(1))
		sessions = append(sessions, a)
		releases = append(releases, a.Take(t.Context())) // its own
	}
	for range 6 { // three quarters of 8
		releases = append(releases, sessions[0].Take(t.Context()))
	}
	ctx, cancel := context.WithCancel(t.Context())
	taken := make(chan func())
	waits := func() bool { return d.waiting() == 1 }
	go func() { taken <- sessions[1].Take(ctx) }()
	testkit.Eventually(t, "a session waits", waits)
	other := NewAllowance(d, client.User(2))
	for range 2 { // its own, and one of the two that are left
		releases = append(releases, other.Take(t.Context()))
	}
	releases[1]() // the session's own is free again
	releases[1] = <-taken
	go func() { taken <- sessions[2].Take(ctx) }()
	testkit.Eventually(t, "another session waits", waits)
	cancel()
	if <-taken != nil {
		t.Error("Take succeeds after the end of its context")
	}
	for _, release := range releases {
		release()
	}
	wantUnused(t, d)
	for _, a := range append(sessions, other) {
		if a.used || a.waits != nil {
			t.Error("a session has lost its own descriptor")
		}
	}
}

// TestAllowanceTakenTwice checks that a Take that gets a common descriptor and the session's own
// one at the same moment returns the own one.
func TestAllowanceTakenTwice(t *testing.T) {
	a := NewAllowance(descriptors(1, 0), client.User(1))
	if a.takeOwn() != nil {
		t.Fatal("the own descriptor is in use")
	}
	own := a.takeOwn()
	a.returnOwn()
	select {
	case <-own:
	default:
		t.Fatal("the own descriptor has not passed to the Take that waits")
	}
	a.stopWaiting()
	if a.takeOwn() != nil {
		t.Error("the own descriptor is lost")
	}
}

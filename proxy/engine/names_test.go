package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/proxy/resolve"
)

// fakeName is a Name whose lookups a test ends as it likes, and the backends of its nodes.
type fakeName struct {
	outcomes chan func(report func(resolve.Answer, error))

	mu       sync.Mutex
	backends map[string]*closing // by address; a new one is made for each node that is opened
	opened   int
	identity string
	openErr  error
}

func newFakeName() *fakeName {
	return &fakeName{outcomes: make(chan func(func(resolve.Answer, error))), backends: map[string]*closing{}, identity: "same"}
}

func (f *fakeName) config(address string) Name {
	return Name{
		Address: address, Key: "key", Limit: 3,
		Watch: func(ctx context.Context, _ []resolve.Target, report func(resolve.Answer, error)) {
			for {
				select {
				case <-ctx.Done():
					return
				case outcome := <-f.outcomes:
					outcome(report)
				}
			}
		},
		Open: func(t resolve.Target) (Node, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.openErr != nil {
				return Node{}, f.openErr
			}
			b := &closing{}
			f.backends[t.Addr.String()] = b
			f.opened++
			return Node{Address: "tcp:" + t.Addr.String(), Backend: b, Identity: f.identity + t.Addr.String()}, nil
		},
	}
}

// backend returns the backend that was opened last for an address.
func (f *fakeName) backend(i int) *closing {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.backends[fmt.Sprintf("10.0.0.%d:3310", i)]
}

func (f *fakeName) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// scansOf returns the number of scans of a backend, not counting test objects.
func scansOf(b *closing) int { return b.fakeEngine.asked() }

// answer ends a lookup with these hosts, in a bubble of synctest.
func (f *fakeName) answer(hosts ...int) {
	var targets []resolve.Target
	for _, i := range hosts {
		targets = append(targets, at(i, 0, 0))
	}
	f.answerTargets(targets...)
}

func (f *fakeName) answerTargets(targets ...resolve.Target) {
	f.outcomes <- func(report func(resolve.Answer, error)) { report(resolve.Answer{Targets: targets}, nil) }
	synctest.Wait()
}

func (f *fakeName) fail(text string) {
	f.outcomes <- func(report func(resolve.Answer, error)) { report(resolve.Answer{}, errors.New(text)) }
	synctest.Wait()
}

func at(i int, priority, weight uint16) resolve.Target {
	return resolve.Target{Addr: netip.MustParseAddrPort(fmt.Sprintf("10.0.0.%d:3310", i)), Host: "clamd.example.", Priority: priority, Weight: weight}
}

// named returns an engine whose nodes have the name "dns:clamd.example:3310".
func named(names ...*fakeName) Config {
	c := Config{Name: "fake", Kind: "scripted", Required: true, Timeout: 10 * time.Second, Canary: true, Log: zerolog.Nop(), Spool: testSpool}
	for i, f := range names {
		c.Names = append(c.Names, f.config(fmt.Sprintf("dns:%c.example:3310", 'a'+i)))
	}
	return c
}

// wantNodes checks the nodes: "10.0.0.1 up". The last parts of their addresses are enough.
func wantNodes(t *testing.T, e *Engine, want ...string) {
	t.Helper()
	var got []string
	for _, n := range e.Status().Nodes {
		got = append(got, strings.TrimSuffix(strings.TrimPrefix(n.Address, "tcp:10.0.0."), ":3310")+" "+n.State)
	}
	if !slices.Equal(got, want) {
		t.Errorf("nodes %q, want %q", got, want)
	}
}

// TestNameChanges: nodes come, go and stay, and those that stay keep everything.
func TestNameChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		ledger := NewLedger()
		ledger.Open([]*Engine{e})
		synctest.Wait()
		f.answer(1, 2)
		wantNodes(t, e, "1 up", "2 up")
		stays := f.backend(1)
		wantScan(t, e, "clean", backends.OK)
		wantScan(t, e, "clean", backends.OK)
		checks := len(stays.checks())
		f.answer(3, 1)
		wantNodes(t, e, "3 up", "1 up")
		if stays != f.backend(1) || stays.closed.Load() != 0 || len(stays.checks()) != checks || f.backend(2).closed.Load() != 1 {
			t.Error("the node that stays was opened or checked again, or the other one not closed")
		}
		if f.opened != 3 {
			t.Errorf("%d backends opened, want 3", f.opened)
		}
		f.answer(2, 1) // its counters go on
		for _, n := range e.Status().Nodes {
			if n.Counters.Scans != 1 || n.Name != "dns:a.example:3310" {
				t.Errorf("%+v", n)
			}
		}
		e.Close()
	})
}

// TestNameFails: the last good answer stays in use.
func TestNameFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, log := newFakeName(), &lines{}
		cfg := named(f)
		cfg.Log = zerolog.New(log)
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		f.answer(1)
		for range 3 {
			time.Sleep(time.Second)
			f.fail("SERVFAIL\n" + strings.Repeat("x", 5000))
		}
		wantNodes(t, e, "1 up")
		wantScan(t, e, "clean", backends.OK)
		s := e.Status().Names[0]
		if s.Failures != 3 || !strings.HasPrefix(s.Reason, "SERVFAIL") || len(s.Reason) > 700 || time.Since(s.Answered) != 3*time.Second || s.Nodes != 1 || time.Since(s.FailingSince) != 2*time.Second {
			t.Errorf("%+v", s)
		}
		f.answer(1)
		if s := e.Status().Names[0]; s.Failures != 3 || s.Reason != "" || !s.FailingSince.IsZero() {
			t.Errorf("%+v", s)
		}
		if log.count("name not resolved", "dns:a.example:3310") != 1 || log.count("name resolved again") != 1 {
			t.Errorf("log:\n%s", log.buf.String())
		}
	})
}

// TestNameNever: scans wait for the first lookup, and fail immediately after it has failed.
func TestNameNever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		results := make(chan error, 2)
		scan := func() { results <- e.Scan(t.Context(), text("clean"), false).Err }
		go scan()
		synctest.Wait()
		if len(results) != 0 {
			t.Fatal("a scan did not wait for the first lookup")
		}
		f.fail("clamd.example does not exist (NXDOMAIN)")
		want := "the name dns:a.example:3310 does not resolve: clamd.example does not exist (NXDOMAIN)"
		if len(results) != 1 {
			t.Fatal("the scan still waits")
		}
		if err := <-results; err == nil || err.Error() != want || backends.CategoryOf(err) != backends.CannotExecute {
			t.Errorf("%v", err)
		}
		begin := time.Now()
		scan()
		if err := <-results; err == nil || err.Error() != want || time.Since(begin) != 0 {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if s := e.Status(); len(s.Nodes) != 1 || s.Nodes[0].Address != "dns:a.example:3310" || s.Nodes[0].State != "down" || s.Nodes[0].Reason != want || s.Slots == 0 || s.Nodes[0].Usable {
			t.Errorf("%+v", s)
		}
		f.answer(1)
		wantNodes(t, e, "1 up")
		wantScan(t, e, "clean", backends.OK)
		wantIdle(t, e)
	})
}

// TestNameLookupHangs: a name server that never answers holds a scan for ten seconds at most.
func TestNameLookupHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := named(newFakeName())
		cfg.Timeout = time.Minute
		e := New(cfg)
		run(t, e)
		begin := time.Now()
		r := e.Scan(t.Context(), text("clean"), false)
		if r.Err == nil || !strings.Contains(r.Err.Error(), "its first lookup has not ended") || time.Since(begin) != firstWait {
			t.Errorf("%v after %v", r.Err, time.Since(begin))
		}
	})
}

// TestNameDrains: scans on a node that is removed finish; if its address comes back meanwhile
// it is the same node, else it is closed after its last scan.
func TestNameDrains(t *testing.T) {
	for _, back := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeName()
			e := New(named(f))
			run(t, e)
			synctest.Wait()
			f.answer(1)
			b := f.backend(1)
			gate := make(chan struct{})
			b.set(func(f *fakeEngine) { f.gate = gate })
			result := make(chan error, 1)
			go func() { result <- e.Scan(t.Context(), text("clean"), false).Err }()
			synctest.Wait()
			f.answer(2)
			wantNodes(t, e, "2 up")
			for range 20 {
				wantScan(t, e, "clean", backends.OK)
			}
			if scansOf(b) != 1 || b.closed.Load() != 0 || len(result) != 0 {
				t.Errorf("the leaving node got %d scans, was closed %d times", scansOf(b), b.closed.Load())
			}
			if back {
				f.answer(1, 2)
				wantNodes(t, e, "1 up", "2 up")
			}
			close(gate)
			synctest.Wait()
			if err := <-result; err != nil {
				t.Error(err)
			}
			if closed := b.closed.Load(); closed != 0 == back {
				t.Errorf("back %v: closed %d times", back, closed)
			}
			if back {
				for range 2 {
					wantScan(t, e, "clean", backends.OK)
				}
				if scansOf(b) < 2 {
					t.Error("the node that came back gets no scans")
				}
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.leaving) != 0 {
				t.Errorf("%d nodes still leave", len(e.leaving))
			}
		})
	}
}

// TestNameSameAddress: an address is one node, however many names have it.
func TestNameSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, g := newFakeName(), newFakeName()
		cfg := named(f, g)
		fixed := &closing{}
		cfg.Nodes = []Node{{Address: "tcp:10.0.0.9:3310", Backend: fixed, Identity: "same10.0.0.9:3310"}}
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		f.answer(1, 9)
		b := f.backend(1)
		g.answer(1, 2)
		wantNodes(t, e, "9 up", "1 up", "2 up")
		f.answer(3)
		wantNodes(t, e, "9 up", "3 up", "1 up", "2 up") // now by the second name
		if b.closed.Load() != 0 || len(b.checks()) != 1 {
			t.Error("not the same node")
		}
		if s := e.Status(); s.Nodes[0].Name != "" || s.Nodes[2].Name != "dns:b.example:3310" {
			t.Errorf("%+v", s.Nodes)
		}
		if f.backend(9).closed.Load() != 1 || fixed.closed.Load() != 0 {
			t.Error("the configured node was replaced, or the backend beside it not closed")
		}
		g.answer(2)
		if wantNodes(t, e, "9 up", "3 up", "2 up"); b.closed.Load() != 1 {
			t.Error("not closed")
		}
	})
}

// TestNameBound: however fast the answers change, nodes with scans count.
func TestNameBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answer(1, 2, 3)
		end := scanOnEach(t, e, f, 1, 2, 3)
		f.answer(4, 5, 6)
		wantNodes(t, e)
		if reason := e.Scan(within(t, time.Second), text("clean"), false).Err; reason == nil {
			t.Error("a scan without a node")
		}
		end()
		synctest.Wait()
		wantNodes(t, e, "4 up", "5 up", "6 up")
	})
}

// scanOnEach begins a scan on each of the nodes of f, and returns a function that ends them.
func scanOnEach(t *testing.T, e *Engine, f *fakeName, nodes ...int) (end func()) {
	t.Helper()
	gate := make(chan struct{})
	for _, i := range nodes {
		f.backend(i).set(func(f *fakeEngine) { f.gate = gate })
	}
	var scans sync.WaitGroup
	for range nodes {
		scans.Go(func() { e.Scan(t.Context(), text("clean"), false) })
		synctest.Wait()
	}
	return func() {
		close(gate)
		scans.Wait()
	}
}

// TestNameReload: a reload keeps the nodes, their answers and the time of the next lookup, and
// opens the nodes again if their configuration has changed.
func TestNameReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answer(1, 2)
		b := f.backend(1)
		if err := e.Drain("tcp:10.0.0.2:3310"); err != nil {
			t.Fatal(err)
		}
		next := succeed(t, e, named(f))
		wantNodes(t, next, "1 up", "2 up") // immediately
		synctest.Wait()
		wantNodes(t, next, "1 up", "2 up")
		if b.closed.Load() != 0 || len(b.checks()) != 1 || f.backend(1).closed.Load() != 1 || !next.Status().Nodes[1].Drained {
			t.Error("not the same node")
		}
		f.set(func() { f.identity = "other" })
		cfg := named(f)
		cfg.Names[0].Key = "other key"
		next = succeed(t, next, cfg)
		synctest.Wait()
		wantNodes(t, next, "1 up", "2 up")
		if b.closed.Load() != 1 || f.backend(1).closed.Load() != 0 || !next.Status().Nodes[1].Drained {
			t.Error("not another node, or no longer drained")
		}
		f.answer(1) // it leaves, and stays drained
		f.answer(1, 2)
		if !next.Status().Nodes[1].Drained {
			t.Error("a drained node that came back is used")
		}
		f.answer(1)
		if err := next.Resume("tcp:10.0.0.2:3310"); err != nil {
			t.Error(err)
		}
		f.answer(1, 2)
		if next.Status().Nodes[1].Drained {
			t.Error("still drained")
		}
		next = succeed(t, next, withCanary(&closing{})) // without the name
		synctest.Wait()
		if s := next.Status(); len(s.Nodes) != 1 || len(s.Names) != 0 || f.backend(1).closed.Load() != 1 {
			t.Errorf("%+v", s)
		}
		select {
		case f.outcomes <- nil:
			t.Error("the name is still looked up")
		default:
		}
	})
}

// TestNameNotOpened: if a backend cannot be opened, the old nodes stay, and the next answer is
// another try.
func TestNameNotOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answer(1)
		f.set(func() { f.openErr = errors.New("no such file") })
		f.answer(2)
		wantNodes(t, e, "1 up")
		f.set(func() { f.openErr = nil })
		f.answer(2)
		wantNodes(t, e, "2 up")
	})
}

// TestNamePanic: a panic in a lookup delays the next one.
func TestNamePanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answer(1)
		f.outcomes <- func(func(resolve.Answer, error)) { panic("bad record") }
		time.Sleep(panicPause)
		f.answer(1, 2)
		wantNodes(t, e, "1 up", "2 up")
	})
}

// TestPriorities: nodes of a higher number only while no other one is usable.
func TestPriorities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answerTargets(at(1, 10, 0), at(2, 20, 0))
		first, second := f.backend(1), f.backend(2)
		var scans sync.WaitGroup
		gate := make(chan struct{})
		first.set(func(f *fakeEngine) { f.gate = gate })
		for range DefaultMaxScans + 5 { // more than it has slots
			scans.Go(func() { wantScan(t, e, "clean", backends.OK) })
		}
		synctest.Wait()
		if scansOf(second) != 0 {
			t.Errorf("the spare node got %d scans", scansOf(second))
		}
		close(gate)
		scans.Wait()
		first.set(func(f *fakeEngine) { f.err, f.canary = errRefused, errRefused })
		wantScan(t, e, "clean", backends.OK)
		if scansOf(second) != 1 {
			t.Errorf("the spare node got %d scans", scansOf(second))
		}
		first.set(func(f *fakeEngine) { f.err, f.canary = nil, nil })
		time.Sleep(time.Minute)
		wantScan(t, e, "clean", backends.OK)
		if scansOf(second) != 1 {
			t.Error("the first node is up again, and not used")
		}
	})
}

// TestWeights: also scans that come one after another are distributed by weight.
func TestWeights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeName()
		e := New(named(f))
		run(t, e)
		synctest.Wait()
		f.answerTargets(at(1, 1, 60), at(2, 1, 30), at(3, 1, 0))
		for range 1000 {
			wantScan(t, e, "clean", backends.OK)
		}
		for i, want := range map[int]int{1: 662, 2: 331, 3: 7} {
			if got := scansOf(f.backend(i)); got < want-15 || got > want+15 {
				t.Errorf("node %d got %d scans of 1000, want about %d", i, got, want)
			}
		}
	})
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
	"polyclam/proxy/client"
	"polyclam/proxy/policy"
)

// together is an engine whose scans wait at a gate.
func together(t *testing.T, c func(Config) Config) (*Engine, *versioned, chan struct{}) {
	f := &versioned{text: "one"}
	f.gate = make(chan struct{})
	cfg := withCache(f)
	cfg.PoisonTime = 15 * time.Minute
	if c != nil {
		cfg = c(cfg)
	}
	e := New(cfg)
	run(t, e)
	synctest.Wait()
	return e, f, f.gate
}

// crowd has n scans of the same object run together, and returns a channel with their reports.
func crowd(ctx context.Context, e *Engine, s string, n int) <-chan policy.Report {
	reports := make(chan policy.Report, n)
	for range n {
		go func() { reports <- askCached(ctx, e, streamOf(s), false) }()
	}
	synctest.Wait()
	return reports
}

// wantCrowd receives n reports, and checks where they come from.
func wantCrowd(t *testing.T, reports <-chan policy.Report, category backends.Category, asked, joined int) {
	t.Helper()
	for range asked + joined {
		r := <-reports
		wantCategory(t, r.Result, r.Err, category)
		switch r.Cached {
		case "":
			asked--
		case string(cache.Joined):
			joined--
		}
	}
	if asked != 0 || joined != 0 {
		t.Errorf("%d scans too few, %d joined too few", asked, joined)
	}
}

// user is a context of a client.
func user(id uint32) context.Context {
	return client.NewContext(context.Background(), client.User(id))
}

func TestTogether(t *testing.T) {
	for _, s := range []string{"mail", "virus"} {
		synctest.Test(t, func(t *testing.T) {
			e, f, gate := together(t, nil)
			reports := crowd(user(1), e, s, 100)
			if n := f.fakeEngine.asked(); n != 1 {
				t.Errorf("%d scans", n)
			}
			if s := e.Status(); s.Waiting != 0 || s.Nodes[0].InFlight != 1 {
				t.Errorf("%d wait for a slot, %d in flight", s.Waiting, s.Nodes[0].InFlight)
			}
			close(gate)
			want := backends.OK
			if s == "virus" {
				want = backends.Virus
			}
			wantCrowd(t, reports, want, 1, 99)
			if n := e.Status().Cache.Joined; n != 99 || f.fakeEngine.asked() != 1 {
				t.Errorf("%d counted, %d scans", n, f.fakeEngine.asked())
			}
			wantNoFlights(t, e)
		})
	}
}

func wantNoFlights(t *testing.T, e *Engine) {
	t.Helper()
	synctest.Wait()
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	if len(e.flights.m) != 0 {
		t.Errorf("%d flights left", len(e.flights.m))
	}
	wantIdle(t, e)
}

// TestNotTogether lists scans of the same bytes that are not identical.
func TestNotTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, func(c Config) Config { c.CacheNames = true; return c })
		var wg sync.WaitGroup
		for _, scan := range []struct {
			o   Object
			all bool
		}{{streamOf("mail"), false}, {streamOf("mail"), true}, {&stream{text("mail"), "a.doc"}, false}, {streamOf("mail2"), false}} {
			wg.Go(func() { askCached(t.Context(), e, scan.o, scan.all) })
		}
		synctest.Wait()
		f.set(func(*fakeEngine) { f.text = "two" })
		time.Sleep(2 * time.Second)
		_ = e.Reload
		if n := f.fakeEngine.asked(); n != 4 {
			t.Errorf("%d scans, want 4", n)
		}
		close(gate)
		wg.Wait()
	})
}

// TestReloadParts checks that a scan after RELOAD does not get an answer from before.
func TestReloadParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, nil)
		first := crowd(user(1), e, "mail", 2)
		e.mu.Lock()
		e.nodes[0].signaturesChanged()
		e.mu.Unlock()
		second := crowd(user(1), e, "mail", 2)
		time.Sleep(time.Second)
		if n := f.fakeEngine.asked(); n != 2 {
			t.Errorf("%d scans, want 2", n)
		}
		close(gate)
		wantCrowd(t, first, backends.OK, 1, 1)
		wantCrowd(t, second, backends.OK, 1, 1)
	})
}

// TestFileLeadsNothing checks that no other scan gets the result for a client's file, which may have
// changed since it was hashed.
func TestFileLeadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, nil)
		e.kept.Store(true)
		done := make(chan policy.Report, 3)
		go func() { done <- askCached(t.Context(), e, text("mail"), false) }()
		synctest.Wait()
		go func() { done <- askCached(t.Context(), e, streamOf("mail"), false) }()
		synctest.Wait()
		go func() { done <- askCached(t.Context(), e, text("mail"), false) }() // joins the stream
		synctest.Wait()
		if n := f.fakeEngine.asked(); n != 2 {
			t.Errorf("%d scans, want 2", n)
		}
		close(gate)
		wantCrowd(t, done, backends.OK, 2, 1)
	})
}

// TestWaiterLeaves ends waiters by their own contexts: the others do not notice.
func TestWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, nil)
		stay := crowd(user(1), e, "mail", 10)
		ctx, cancel := context.WithCancel(user(1))
		leave := crowd(ctx, e, "mail", 10)
		late, cancelLate := context.WithTimeout(user(1), time.Second)
		defer cancelLate()
		slow := crowd(late, e, "mail", 10)
		cancel()
		for range 10 {
			if r := <-leave; r.Err == nil || !errors.Is(r.Err, context.Canceled) {
				t.Errorf("%+v", r)
			}
		}
		begin := time.Now()
		for range 10 {
			r := <-slow
			wantCategory(t, r.Result, r.Err, backends.Interrupted)
		}
		if took := time.Since(begin); took != time.Second {
			t.Errorf("the deadline of a waiter was kept after %v", took)
		}
		close(gate)
		wantCrowd(t, stay, backends.OK, 1, 9)
		if n := f.fakeEngine.asked(); n != 1 {
			t.Errorf("%d scans", n)
		}
		wantNoFlights(t, e)
	})
}

// TestLeaderLeaves ends the scan that the others wait for: one of them leads.
func TestLeaderLeaves(t *testing.T) {
	for _, why := range []error{context.Canceled, CalledOff("the verdict was settled"), Overdue("no answer within 1s")} {
		synctest.Test(t, func(t *testing.T) {
			e, f, gate := together(t, nil)
			ctx, cancel := context.WithCancelCause(user(1))
			leader := crowd(ctx, e, "mail", 1)
			others := crowd(user(1), e, "mail", 50)
			cancel(why)
			if r := <-leader; r.Err == nil {
				t.Errorf("%+v", r)
			}
			synctest.Wait()
			if n := f.fakeEngine.asked(); n != 2 {
				t.Errorf("%d scans, want 2", n)
			}
			close(gate)
			wantCrowd(t, others, backends.OK, 1, 49)
			wantNoFlights(t, e)
		})
	}
}

// TestLeaderFails checks that a failure is not shared, and that the failures of others do not
// use up the time of those who wait.
func TestLeaderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, func(c Config) Config { c.MaxScans = 4; return c })
		failed := &backends.Failure{Category: backends.SWErr, Code: 1, Text: "Can't allocate memory"}
		f.set(func(f *fakeEngine) {
			f.answer = func(context.Context, backends.Object) (backends.Result, error) {
				if f.asked() <= 2 {
					return backends.Result{}, failed
				}
				return backends.Clean(0), nil
			}
		})
		reports := crowd(user(1), e, "mail", 100)
		gate <- struct{}{}
		synctest.Wait()
		if n := f.fakeEngine.asked(); n != 2 {
			t.Errorf("after the first failure %d scans, want 2: one leads", n)
		}
		gate <- struct{}{}
		synctest.Wait()
		if n := f.fakeEngine.asked(); n != 2+4 {
			t.Errorf("after the second failure %d scans, want as many as there are slots", n)
		}
		close(gate)
		failures := 0
		for range 100 {
			if r := <-reports; r.Err != nil {
				failures++
			}
		}
		if failures != 2 || f.busiest > 4 {
			t.Errorf("%d failures, %d scans together", failures, f.busiest)
		}
		wantNoFlights(t, e)
	})
}

// TestWithheldTogether has the engine die on an object that many clients send: it dies three
// times, and the others get the reason.
func TestWithheldTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &versioned{text: "one"}
		bomb(&f.fakeEngine)
		c := withCache(f)
		c.PoisonTime = 15 * time.Minute
		c.MaxScans = 1
		e := New(c)
		run(t, e)
		for range 3 {
			synctest.Wait()
			askCached(t.Context(), e, streamOf("bomb"), false)
			time.Sleep(time.Minute)
		}
		asked := f.fakeEngine.asked()
		reports := crowd(user(1), e, "bomb", 100)
		wantCrowd(t, reports, backends.Interrupted, 100, 0)
		if f.fakeEngine.asked() != asked {
			t.Error("the engine got the object")
		}
		wantNoFlights(t, e)
	})
}

// TestOthersQueue checks that a client does not wait in the queue of another one.
func TestOthersQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, f, gate := together(t, func(c Config) Config { c.MaxScans = 8; return c })
		var busy []<-chan policy.Report
		for i := range 20 {
			busy = append(busy, crowd(user(1), e, fmt.Sprint(i), 1))
		}
		queued := crowd(user(1), e, "mail", 5) // leads, without a slot
		other := crowd(user(2), e, "mail", 1)
		if s := e.Status(); s.Waiting > 20-8+1+1 {
			t.Errorf("%d wait: the same object waits more than once for one client", s.Waiting)
		}
		gate <- struct{}{}
		synctest.Wait()
		gate <- struct{}{}
		synctest.Wait()
		gate <- struct{}{}
		synctest.Wait()
		if e.Status().Waiting == 0 {
			t.Error("no queue")
		}
		close(gate)
		wantCrowd(t, queued, backends.OK, 1, 4)
		wantCrowd(t, other, backends.OK, 1, 0)
		for _, b := range busy {
			<-b
		}
		_ = f
		wantNoFlights(t, e)
	})
}

// TestTogetherStress has scans of few objects come, leave and fail all the time. Run it with
// -race.
func TestTogetherStress(t *testing.T) {
	f := &versioned{text: "one"}
	f.answer = func(ctx context.Context, o backends.Object) (backends.Result, error) {
		switch s := string(read(o)); s {
		case "bad":
			return backends.Found(1, "V"), nil
		case "fails":
			return backends.Result{}, &backends.Failure{Category: backends.SWErr}
		case "slow":
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return backends.Result{}, ctx.Err()
			}
		}
		return backends.Clean(0), nil
	}
	c := withCache(f, &versioned{text: "one"})
	c.Nodes = c.Nodes[:1]
	e := New(c)
	run(t, e)
	want := map[string]backends.Category{"good": backends.OK, "bad": backends.Virus, "fails": backends.SWErr, "slow": backends.OK}
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 300 {
				for s, category := range want {
					ctx, cancel := context.WithCancel(client.NewContext(context.Background(), client.Host(netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 3)}))))
					if j%5 == i%5 {
						time.AfterFunc(time.Duration(j%7)*100*time.Microsecond, cancel)
					}
					r := askCached(ctx, e, streamOf(s), false)
					if got := categoryOf(r.Result, r.Err); got != category && ctx.Err() == nil {
						t.Errorf("%s: %+v", s, r)
					}
					if r.Err == nil && r.Result.Category != category {
						t.Errorf("%s: %+v", s, r)
					}
					cancel()
				}
				if j%50 == 0 {
					e.mu.Lock()
					e.nodes[0].signaturesChanged()
					e.mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	e.flights.mu.Lock()
	defer e.flights.mu.Unlock()
	if len(e.flights.m) != 0 {
		t.Errorf("%d flights left", len(e.flights.m))
	}
}

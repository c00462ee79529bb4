package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/count"
)

// TestCounts scans objects with every outcome.
func TestCounts(t *testing.T) {
	answers := map[string]error{"ok": nil, "virus": nil, "failure": &backends.Failure{Category: backends.Interrupted, Code: 1, Text: "no"}, "refused": errRefused}
	f := &fakeEngine{answer: func(_ context.Context, o backends.Object) (backends.Result, error) {
		data := string(read(o))
		if data == "both" {
			return backends.Found(1, "Some.Virus"), &backends.Failure{Category: backends.SWErr, Text: "and then it failed"}
		}
		if data == "virus" {
			return backends.Found(1, "Some.Virus"), nil
		}
		return backends.Clean(0), answers[data]
	}}
	c := config(f)
	c.MaxSize = 100
	e := New(c)
	defer e.Close()
	for _, data := range []string{"ok", "ok", "virus", "both", "failure", fmt.Sprintf("%200d", 1), "refused", "ok"} {
		e.Scan(t.Context(), text(data), false)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(CalledOff("the client has gone"))
	e.Scan(ctx, text("ok"), false)

	s := e.Status()
	got := s.Nodes[0].Counters
	want := map[backends.Category]uint64{backends.OK: 2, backends.Virus: 2, backends.Interrupted: 1, backends.CannotExecute: 1}
	for category, n := range got.Results.All() {
		if n != want[category] {
			t.Errorf("%d results %s, want %d", n, category, want[category])
		}
	}
	kinds := map[backends.Category]uint64{backends.SWErr: 1, backends.Interrupted: 1, backends.CannotExecute: 1}
	for category, n := range got.Kinds.All() {
		if n != kinds[category] {
			t.Errorf("%d failures %s, want %d", n, category, kinds[category])
		}
	}
	// The last one found the node down after "refused". The cancelled one counts nowhere.
	if s.Unasked.Of(backends.Partial) != 1 || s.Unasked.Of(backends.CannotExecute) != 1 || s.Unasked.Total() != 2 {
		t.Errorf("without a node: %+v", s.Unasked)
	}
	var times uint64
	for _, v := range got.Times {
		times += v.Total()
	}
	if times != 6 || got.Times[0].Total() != 6 || got.Scans != 6 {
		t.Errorf("%d durations of %d scans", times, got.Scans)
	}
}

// TestCancelledIsNoResult cancels scans that a node has.
func TestCancelledIsNoResult(t *testing.T) {
	for _, test := range []struct {
		cause              error
		cancelled, results uint64
	}{
		{CalledOff("the client has gone"), 1, 0},
		{Overdue("max_delay is over"), 0, 1},
	} {
		f := &fakeEngine{gate: make(chan struct{}), begun: make(chan string, 1)}
		e := New(config(f))
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			e.Scan(ctx, text("harmless"), false)
		}()
		<-f.begun
		cancel(test.cause)
		<-ended
		e.Close()
		got := e.Status().Nodes[0].Counters
		if got.Cancelled != test.cancelled || got.Results.Total() != test.results || got.Results.Of(backends.Interrupted) != test.results {
			t.Errorf("%v: %+v", test.cause, got)
		}
	}
}

func TestLedger(t *testing.T) {
	l := NewLedger()
	first := New(config(&fakeEngine{}, &fakeEngine{}))
	l.Open([]*Engine{first})
	first.Scan(t.Context(), text("harmless"), false)
	first.Scan(t.Context(), text("virus"), false)

	changed := New(config(&fakeEngine{}, &fakeEngine{}, &fakeEngine{}))
	l.Open([]*Engine{changed})
	if !changed.Succeed(first) {
		t.Fatal("the engines differ")
	}
	other := config(&fakeEngine{})
	other.Kind = "another backend"
	replaced := New(other)
	before := changed.Status()
	sum := before.Nodes[0].Counters.Scans + before.Nodes[1].Counters.Scans
	if before.Counters.Scans != 2 || sum != 2 || before.Nodes[2].Counters != (Counters{}) {
		t.Errorf("after a reload: %+v", before)
	}
	l.Open([]*Engine{replaced})
	if replaced.Succeed(changed) {
		t.Fatal("the engines are the same")
	}
	changed.Close()
	defer replaced.Close()
	if s := replaced.Status(); s.Counters != before.Counters || s.Nodes[0].Counters != before.Nodes[0].Counters {
		t.Errorf("after another reload: %+v, want %+v", s, before)
	}
}

// TestLedgerIsBounded uses ever new names.
func TestLedgerIsBounded(t *testing.T) {
	l := NewLedger()
	for i := range 3 * removedNodes {
		c := config(&fakeEngine{}, &fakeEngine{})
		c.Name = fmt.Sprint("engine", i)
		e := New(c)
		l.Open([]*Engine{e})
		e.Close()
	}
	if len(l.engines) != 1+removedNodes/2 || l.removed() != removedNodes {
		t.Errorf("%d engines and %d removed nodes are remembered", len(l.engines), l.removed())
	}
	last := fmt.Sprint("engine", 3*removedNodes-1)
	if l.engines[last] == nil || l.engines["engine0"] != nil {
		t.Error("the wrong engines are remembered")
	}
}

func BenchmarkCounts(b *testing.B) {
	q := &question{object: text("harmless"), ctx: context.Background()}
	c := &nodeCounts{}
	b.ReportAllocs()
	for range b.N {
		c.answered(q, backends.Clean(0), nil)
	}
	if c.results.Value().Of(backends.OK) != uint64(b.N) || c.times.Value()[0] == (count.Value{}) {
		b.Error(errors.New("not counted"))
	}
}

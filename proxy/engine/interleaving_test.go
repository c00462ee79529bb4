package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// These tests force interleavings that stress tests rarely hit.

// TestLeaveGranted has a scan give up just after it was given a slot: the slot goes to the
// next ticket in the queue.
func TestLeaveGranted(t *testing.T) {
	cfg := config(&fakeEngine{})
	cfg.MaxScans = 1
	e := New(cfg)
	defer e.Close()
	first := newTicket()
	n, err := e.acquire(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	late, next := newTicket(), newTicket()
	e.mu.Lock()
	e.queue.Push(late)
	e.queue.Push(next)
	e.giveBack(n, first.grant) // to late
	e.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCategory(t, backends.Result{}, e.leave(ctx, late, time.Now()), backends.Interrupted)
	if s := <-next.ready; s.node != n || s.err != nil {
		t.Errorf("slot %+v", s)
	}
	e.mu.Lock()
	e.giveBack(n, next.grant)
	e.mu.Unlock()
	wantIdle(t, e)
}

// TestAbandonAnswered has a backend return just before it is abandoned: its answer counts.
func TestAbandonAnswered(t *testing.T) {
	e := New(config(&fakeEngine{}))
	defer e.Close()
	ticket := newTicket()
	n, err := e.acquire(t.Context(), ticket)
	if err != nil {
		t.Fatal(err)
	}
	c := text("a virus")
	answers := make(chan *question, 1)
	q := &question{node: n, object: c, grant: ticket.grant, ctx: t.Context(), answers: answers}
	e.work(q)
	if e.abandon(q) {
		t.Error("abandoned, with its answer")
	}
	<-answers
	wantCategory(t, q.result, q.err, backends.Virus)
	if users := c.users.Load(); users != 0 {
		t.Errorf("object has %d users", users)
	}
	wantIdle(t, e)
}

// TestRunEnds checks that Run ends with its context and with Close, and that Close ends a
// health check that hangs.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{hold: make(chan struct{})}
		e := New(withCanary(f))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 2)
		go func() { e.Run(ctx); done <- struct{}{} }()
		synctest.Wait()
		cancel()
		<-done
		go func() { e.Run(t.Context()); done <- struct{}{} }()
		synctest.Wait()
		e.Close()
		<-done
		synctest.Wait()
		wantIdle(t, e)
		r := e.Scan(t.Context(), text("x"), false) // there are no more health checks
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if n := len(f.checks()); n != 1 || f.asked() != 0 {
			t.Errorf("%d health checks, %d scans", n, f.asked())
		}
		synctest.Wait()
		wantIdle(t, e)
	})
}

func TestSlots(t *testing.T) {
	cfg := config(&fakeEngine{}, &fakeEngine{})
	cfg.MaxScans = 3
	e := New(cfg)
	defer e.Close()
	if e.Slots() != 6 {
		t.Errorf("%d slots", e.Slots())
	}
}

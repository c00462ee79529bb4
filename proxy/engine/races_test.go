package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
)

// The moments that stress rarely hits, brought about by hand.

// TestLeaveGranted has a scan give up just after it was given a slot: the slot
// goes to the next in the queue.
func TestLeaveGranted(t *testing.T) {
	cfg := config(&engine{})
	cfg.MaxScans = 1
	u := New(cfg)
	defer u.Close()
	first := newTicket()
	n, err := u.acquire(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	late, next := newTicket(), newTicket()
	u.mu.Lock()
	u.queue.Push(late)
	u.queue.Push(next)
	u.giveBack(n, first.grant) // to late
	u.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantCategory(t, backends.Result{}, u.leave(ctx, late, time.Now()), backends.Interrupted)
	if s := <-next.ready; s.node != n || s.err != nil {
		t.Errorf("slot %+v", s)
	}
	u.mu.Lock()
	u.giveBack(n, next.grant)
	u.mu.Unlock()
	wantIdle(t, u)
}

// TestAbandonAnswered has a backend return just before it is left behind: its
// answer counts.
func TestAbandonAnswered(t *testing.T) {
	u := New(config(&engine{}))
	defer u.Close()
	ticket := newTicket()
	n, err := u.acquire(t.Context(), ticket)
	if err != nil {
		t.Fatal(err)
	}
	c := content("a virus")
	answers := make(chan *question, 1)
	q := &question{node: n, object: c, grant: ticket.grant, ctx: t.Context(), answers: answers}
	u.work(q)
	if u.abandon(q) {
		t.Error("left behind with its answer")
	}
	<-answers
	wantCategory(t, q.result, q.err, backends.Virus)
	if users := c.users.Load(); users != 0 {
		t.Errorf("content has %d users", users)
	}
	wantIdle(t, u)
}

// TestRunEnds checks that Run ends with its context and with Close, also while a
// canary hangs, which Close ends.
func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{hold: make(chan struct{})}
		u := New(withCanary(e))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{}, 2)
		go func() { u.Run(ctx); done <- struct{}{} }()
		synctest.Wait()
		cancel()
		<-done
		go func() { u.Run(t.Context()); done <- struct{}{} }()
		synctest.Wait()
		u.Close()
		<-done
		synctest.Wait()
		wantIdle(t, u)
		r := u.Scan(t.Context(), content("x"), false) // nothing is proved any more
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		if n := len(e.proved()); n != 1 || e.asked() != 0 {
			t.Errorf("%d canaries, %d scans", n, e.asked())
		}
		synctest.Wait()
		wantIdle(t, u)
	})
}

// TestSlots checks the sum over the nodes.
func TestSlots(t *testing.T) {
	cfg := config(&engine{}, &engine{})
	cfg.MaxScans = 3
	u := New(cfg)
	defer u.Close()
	if u.Slots() != 6 {
		t.Errorf("%d slots", u.Slots())
	}
}

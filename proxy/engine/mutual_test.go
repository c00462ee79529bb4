package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/testfile"
)

// asking is an engine that is another polyclam.
type asking struct{ other *Engine }

// Scan implements backends.Backend.
func (a *asking) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	r := a.other.Scan(ctx, o.(Object), false)
	return r.Result, r.Err
}

// TestMutual: two polyclams that ask each other find out without waiting.
func TestMutual(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there, back := &asking{}, &asking{}
		a, b := New(withCanary(there)), New(withCanary(back))
		there.other, back.other = b, a
		begin := time.Now()
		run(t, a)
		run(t, b)
		synctest.Wait()
		wantState(t, a, "down")
		wantState(t, b, "down")
		for range 5 {
			r := a.Scan(t.Context(), content("mail"), false)
			wantCategory(t, r.Result, r.Err, backends.SWErr)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

// TestChain: a polyclam that was refused because another one was checking its engine
// is up after one of its next checks.
func TestChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{hold: make(chan struct{})}
		b := New(withCanary(e))
		a := New(withCanary(&asking{b}))
		run(t, b)
		synctest.Wait()
		run(t, a)
		synctest.Wait()
		wantState(t, a, "down")
		r := b.Scan(within(t, time.Second), content("mail"), false) // mail waits
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		close(e.hold)
		time.Sleep(4 * time.Second) // it was asked after 1 s, in vain, and is after 2 s more
		wantState(t, a, "up")
		r = b.Scan(t.Context(), content(string(testfile.Clean(testfile.NewNonce()))), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
	})
}

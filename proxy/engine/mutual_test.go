package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/backends/testfile"
)

// asking is a backend that uses another polyclam.
type asking struct{ other *Engine }

// Scan implements backends.Backend.
func (a *asking) Scan(ctx context.Context, o backends.Object) (backends.Result, error) {
	r := a.other.Scan(ctx, o.(Object), false)
	return r.Result, r.Err
}

// TestMutual: two polyclams that ask each other notice without waiting.
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
			wantScan(t, a, "mail", backends.SWErr)
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("took %v", d)
		}
	})
}

// TestChain: a polyclam whose check was refused, because the polyclam it asks was checking
// its own engine, is up after one of its next checks.
func TestChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{hold: make(chan struct{})}
		b := New(withCanary(f))
		a := New(withCanary(&asking{b}))
		run(t, b)
		synctest.Wait()
		run(t, a)
		synctest.Wait()
		wantState(t, a, "down")
		r := b.Scan(within(t, time.Second), text("mail"), false) // mail waits for the check
		wantCategory(t, r.Result, r.Err, backends.Interrupted)
		close(f.hold)
		time.Sleep(4 * time.Second) // the check after 1 s fails, the one after 2 s more does not
		wantState(t, a, "up")
		r = b.Scan(t.Context(), text(string(testfile.Clean(testfile.NewNonce()))), false)
		wantCategory(t, r.Result, r.Err, backends.OK)
	})
}

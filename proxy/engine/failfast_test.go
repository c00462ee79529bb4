package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/engine/internal/health"
	"polyclam/proxy/policy"
)

// TestHungNodeWithoutSlots has hung scans take every slot of a node: the hang is noticed
// nevertheless.
func TestHungNodeWithoutSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &fakeEngine{}, &fakeEngine{}
		cfg := withCanary(a, b)
		cfg.MaxScans, cfg.Timeout = 2, time.Minute
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		warmUp(t, e)
		drain(e)
		time.Sleep(2 * health.FirstPause) // so that the first check is not too recent
		r := e.Scan(t.Context(), text("x"), false)
		wantCategory(t, r.Result, r.Err, backends.OK) // so that the last answer is recent
		resume := stop(a)
		outcome := make(chan time.Duration, 8)
		for range cap(outcome) {
			go func() {
				r := e.Scan(t.Context(), text("x"), false)
				wantCategory(t, r.Result, r.Err, backends.OK)
				outcome <- r.Elapsed
			}()
		}
		for range cap(outcome) {
			if took := <-outcome; took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		}
		wantState(t, e, "down", "up")
		resume()
		synctest.Wait()
		wantIdle(t, e)
	})
}

// TestQueuedScanFailsFast takes the only node out while a scan is queued for its slot and
// a health check has just begun, which then hangs. The scan fails without waiting for its
// timeout.
func TestQueuedScanFailsFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeEngine{}
		cfg := withCanary(f)
		cfg.MaxScans = 1
		e := New(cfg)
		run(t, e)
		synctest.Wait()
		warmUp(t, e)
		resume := stop(f)
		first, queued := make(chan policy.Report, 1), make(chan policy.Report, 3)
		go func() { first <- e.Scan(t.Context(), text("x"), false) }()
		synctest.Wait()
		for range cap(queued) {
			go func() { queued <- e.Scan(t.Context(), text("y"), false) }()
		}
		synctest.Wait()
		n := e.nodes[0]
		e.mu.Lock()
		e.startCheck(n)
		e.mu.Unlock()
		time.Sleep(againWait / 5)
		e.mu.Lock()
		e.markDown(n, errRefused)
		e.mu.Unlock()
		for range cap(queued) {
			r := <-queued
			wantCategory(t, r.Result, r.Err, backends.CannotExecute)
			if r.Elapsed != againWait {
				t.Errorf("took %v: %v", r.Elapsed, r.Err)
			}
		}
		resume()
		<-first
		synctest.Wait()
		wantIdle(t, e)
	})
}

package proxy

import (
	"context"
	"testing"
	"time"

	"polyclam/backends"
)

// TestAlive holds one lock of the server: only without it is the server alive.
func TestAlive(t *testing.T) {
	ts := newServer(t, nil, testEngine{name: "a", backend: backends.Func(func(context.Context, backends.Object) (backends.Result, error) {
		return backends.Result{Category: backends.OK}, nil
	})})
	ts.Alive()
	ts.mu.Lock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		ts.Alive()
	}()
	select {
	case <-done:
		t.Error("alive although a lock is held")
	case <-time.After(20 * time.Millisecond): // too short would only miss the fault
	}
	ts.mu.Unlock()
	<-done
}

package proxy

import (
	"context"
	"testing"
	"time"

	"polyclam/backends"
)

// TestAlive checks that Alive does not return while a lock of the server is held.
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
		t.Error("Alive returned while a lock was held")
	case <-time.After(20 * time.Millisecond): // a fault may show later: this wait can only miss it
	}
	ts.mu.Unlock()
	<-done
}

package files

import (
	"context"
	"testing"
	"time"

	"polyclam/proxy/client"
)

// TestDeniedWithoutThread has no thread for the search before its context ends.
func TestDeniedWithoutThread(t *testing.T) {
	p := NewPool(1)
	release := make(chan struct{})
	defer close(release)
	ctx := client.NewContext(t.Context(), client.User(1))
	began := make(chan struct{})
	go Do(ctx, p, "", func() (int, error) { close(began); <-release; return 0, nil }, nil)
	<-began
	short, cancel := context.WithTimeout(ctx, time.Millisecond)
	defer cancel()
	if d, err := p.Denied(short, "/"); err == nil {
		t.Errorf("got %+v", d)
	}
}

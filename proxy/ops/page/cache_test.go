package page

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// TestCacheRendersOnce has a hundred viewers in the same second.
func TestCacheRendersOnce(t *testing.T) {
	var renders atomic.Int32
	var now atomic.Int64
	release := make(chan struct{})
	c := cache{patience: time.Minute, now: func() time.Time { return time.Unix(0, now.Load()) }, render: func() ([]byte, error) {
		renders.Add(1)
		<-release
		return []byte("page"), nil
	}}
	var viewers sync.WaitGroup
	for range 100 {
		viewers.Go(func() {
			if body, err := c.get(t.Context()); string(body) != "page" || err != nil {
				t.Errorf("got %q, %v", body, err)
			}
		})
	}
	testkit.Eventually(t, "the page is being rendered", func() bool { return renders.Load() > 0 })
	close(release)
	viewers.Wait()
	now.Store(int64(renderEvery) - 1)
	c.get(t.Context())
	if n := renders.Load(); n != 1 {
		t.Errorf("rendered %d times within a second", n)
	}
	now.Store(int64(renderEvery))
	c.get(t.Context())
	if n := renders.Load(); n != 2 {
		t.Errorf("rendered %d times after a second", n)
	}
	now.Store(0) // the clock was set back
	c.get(t.Context())
	if n := renders.Load(); n != 3 {
		t.Errorf("rendered %d times after the clock was set back", n)
	}
}

// TestCacheHangs has a rendering that does not end: viewers get an error, and it remains the
// only one.
func TestCacheHangs(t *testing.T) {
	var renders atomic.Int32
	release := make(chan struct{})
	c := cache{patience: time.Millisecond, now: time.Now, render: func() ([]byte, error) {
		renders.Add(1)
		<-release
		return []byte("page"), nil
	}}
	for range 20 {
		if body, err := c.get(t.Context()); body != nil || !errors.Is(err, errSlow) {
			t.Errorf("got %q, %v", body, err)
		}
	}
	if n := renders.Load(); n > 1 {
		t.Errorf("%d renderings hang", n)
	}
	close(release)
	c.patience = time.Minute
	if body, err := c.get(t.Context()); string(body) != "page" || err != nil {
		t.Errorf("afterwards: %q, %v", body, err)
	}
}

// TestCacheGone has a viewer that goes.
func TestCacheGone(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c := cache{patience: time.Hour, now: time.Now, render: func() ([]byte, error) { <-release; return nil, nil }}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.get(gone); err == nil {
		t.Error("a viewer that has gone got a page")
	}
}

// TestCacheFails has renderings that fail, and then one that does not.
func TestCacheFails(t *testing.T) {
	next := func() ([]byte, error) { panic("a bug") }
	c := cache{patience: time.Minute, now: time.Now, render: func() ([]byte, error) { return next() }}
	if _, err := c.get(t.Context()); !errors.Is(err, errRender) {
		t.Errorf("a panic: %v", err)
	}
	next = func() ([]byte, error) { return []byte("half"), errLarge }
	if body, err := c.get(t.Context()); !errors.Is(err, errRender) || body != nil {
		t.Errorf("an error: %q, %v", body, err)
	}
	next = func() ([]byte, error) { return []byte("page"), nil }
	if body, err := c.get(t.Context()); string(body) != "page" || err != nil {
		t.Errorf("afterwards: %q, %v", body, err)
	}
}

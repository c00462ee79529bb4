package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"polyclam/backends"
	"polyclam/proxy/cache"
)

// storeOfHosts is a shared store in memory.
type storeOfHosts struct {
	mu     sync.Mutex
	values map[string][]byte
	err    error
}

func (*storeOfHosts) Address() string { return "store" }
func (*storeOfHosts) Close()          {}

func (s *storeOfHosts) Get(_ context.Context, keys []string, limit int) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list [][]byte
	for _, k := range keys {
		list = append(list, append([]byte(nil), s.values[k][max(len(s.values[k])-limit, 0):]...))
	}
	return list, s.err
}

func (s *storeOfHosts) Put(_ context.Context, values []cache.Value) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	for _, v := range values {
		s.values[v.Key] = v.Data
	}
	return len(values), nil
}

func (s *storeOfHosts) Append(_ context.Context, key string, data []byte, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = append(s.values[key], data...)
	return s.err
}

func (s *storeOfHosts) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func sharing(f backends.Backend, s cache.Store, memory int64) Config {
	c := withCanary(f)
	c.CacheTTL, c.Fingerprint = time.Hour, "options"
	c.Cache = cache.New(cache.Config{Memory: memory, Store: s, Secret: make([]byte, cache.MinSecret), Budget: time.Second})
	return c
}

// hostOf returns an engine of another host with its own memory. Close the cache at the end.
func hostOf(t *testing.T, s cache.Store, f backends.Backend) (*Engine, *cache.Cache) {
	t.Helper()
	c := sharing(f, s, 1<<20)
	e := New(c)
	run(t, e)
	synctest.Wait()
	time.Sleep(time.Second)
	return e, c.Cache
}

// twoHosts returns two hosts that share the result for one object, and a function that closes
// their caches.
func twoHosts(t *testing.T, s cache.Store, f backends.Backend) (one, two *Engine, end func()) {
	t.Helper()
	one, c1 := hostOf(t, s, f)
	two, c2 := hostOf(t, s, f)
	confirmed(t, one, streamOf("object"))
	wantCached(t, two, streamOf("object"), cache.Shared)
	return one, two, func() { c1.Close(); c2.Close() }
}

// confirmedLate is confirmed after a quiet time, whose first result is not kept.
func confirmedLate(t *testing.T, e *Engine, o Object) {
	t.Helper()
	confirmed(t, e, o)
	confirmed(t, e, o)
}

// noticeTime is longer than a host needs to notice what others have done.
const noticeTime = 6 * time.Second

// TestReloadOnAnotherHost has two hosts that ask an engine whose version never changes. One of
// them sees a reload.
func TestReloadOnAnotherHost(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reload func(t *testing.T, e *Engine, f *versioned)
	}{
		{"RELOAD", func(t *testing.T, e *Engine, _ *versioned) {
			if err := e.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		}},
		{"an engine that forgets answers", func(_ *testing.T, e *Engine, _ *versioned) {
			e.mu.Lock()
			e.nodes[0].mail.forget = true
			e.mu.Unlock()
			e.forgetAnswers(e.nodes[0])
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, f := &storeOfHosts{values: map[string][]byte{}}, &reloadedFake{versioned: versioned{text: "one"}}
				one, two, end := twoHosts(t, s, f)
				defer end()
				wantCached(t, two, streamOf("object"), cache.Memory)
				wantCached(t, one, streamOf("object"), cache.Memory)

				tt.reload(t, one, &f.versioned)
				time.Sleep(noticeTime)
				wantCached(t, two, streamOf("object"), "")
				wantCached(t, one, streamOf("object"), "")
				// The engine may still scan with its old signatures.
				time.Sleep(confirmTime)
				wantCached(t, two, streamOf("object"), "")
				time.Sleep(loadTime)
				confirmedLate(t, two, streamOf("object"))
				wantCached(t, two, streamOf("object"), cache.Memory)
				wantCached(t, one, streamOf("object"), cache.Shared)

				// A host that starts now has what is valid, but keeps nothing for a while: it
				// does not know how long ago the reload was.
				three, c3 := hostOf(t, s, f)
				defer c3.Close()
				wantCached(t, three, streamOf("object"), cache.Shared)
				confirmed(t, three, streamOf("another"))
				wantCached(t, three, streamOf("another"), "")
				time.Sleep(loadTime)
				confirmedLate(t, three, streamOf("another"))
				wantCached(t, three, streamOf("another"), cache.Memory)
			})
		})
	}
}

// reloadedFake is an engine with RELOAD.
type reloadedFake struct{ versioned }

func (*reloadedFake) Reload(context.Context) error { return nil }

// TestReloadOfOtherOptions has hosts whose engines differ in their options: a reload of one
// says nothing about the other.
func TestReloadOfOtherOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &storeOfHosts{values: map[string][]byte{}}, &reloadedFake{versioned: versioned{text: "one"}}
		one, c1 := hostOf(t, s, f)
		defer c1.Close()
		c := sharing(f, s, 0)
		c.Fingerprint = "other options"
		defer c.Cache.Close()
		two := New(c)
		run(t, two)
		time.Sleep(time.Second)
		confirmed(t, one, streamOf("object"))
		if err := two.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(noticeTime)
		wantCached(t, one, streamOf("object"), cache.Memory)
	})
}

// TestReloadWhileStoreIsDown has a reload that the other host cannot notice before the store
// answers again.
func TestReloadWhileStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, f := &storeOfHosts{values: map[string][]byte{}}, &reloadedFake{versioned: versioned{text: "one"}}
		one, two, end := twoHosts(t, s, f)
		defer end()
		s.fail(errors.New("broken"))
		for range 20 {
			wantCached(t, one, streamOf("not there"), "")
			time.Sleep(100 * time.Millisecond)
		}
		if err := one.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		wantCached(t, one, streamOf("object"), "")
		wantCached(t, two, streamOf("object"), cache.Memory) // it cannot know
		s.fail(nil)
		time.Sleep(2 * noticeTime)
		wantCached(t, two, streamOf("object"), "")
	})
}

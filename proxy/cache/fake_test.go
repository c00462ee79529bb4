package cache

import (
	"cmp"
	"context"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// fakeStore is a store in memory.
type fakeStore struct {
	mu     sync.Mutex
	values map[string][]byte
	gets   int
	err    error         // of all calls
	putErr error         // of Put
	hang   chan struct{} // not nil: calls hang until it is closed, whatever their context says
}

func newFakeStore() *fakeStore { return &fakeStore{values: map[string][]byte{}} }

func (*fakeStore) Address() string { return "fake" }
func (*fakeStore) Close()          {}

// begin waits while the store hangs.
func (f *fakeStore) begin() error {
	f.mu.Lock()
	hang, err := f.hang, f.err
	f.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return err
}

func (f *fakeStore) Get(_ context.Context, keys []string, limit int) ([][]byte, error) {
	f.mu.Lock()
	f.gets++
	f.mu.Unlock()
	if err := f.begin(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var values [][]byte
	for _, k := range keys {
		v := f.values[k]
		values = append(values, append([]byte(nil), v[max(len(v)-limit, 0):]...))
	}
	return values, nil
}

func (f *fakeStore) Put(_ context.Context, values []Value) (int, error) {
	err := f.begin()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := cmp.Or(err, f.putErr); err != nil {
		return 0, err
	}
	for _, v := range values {
		f.values[v.Key] = v.Data
	}
	return len(values), nil
}

func (f *fakeStore) Append(_ context.Context, key string, data []byte, _ time.Duration) error {
	if err := f.begin(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.values[key] = append(f.values[key], data...)
	return nil
}

func (f *fakeStore) set(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeStore) len() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.values)
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	d  time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.d)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.d += d
}

func keyOf(s string) Key { return sha256.Sum256([]byte(s)) }

var secret = []byte("0123456789abcdef0123456789abcdef")

// wide is a budget that no test exceeds without a store that hangs.
const wide = 10 * time.Second

func newTestCache(t *testing.T, c Config, clock *clock) *Cache {
	t.Helper()
	if c.Secret == nil {
		c.Secret = secret
	}
	if c.Budget == 0 {
		c.Budget = wide
	}
	cache := newCache(c, clock.now)
	t.Cleanup(cache.Close)
	if c.Store != nil {
		waitUp(t, cache)
	}
	return cache
}

func waitUp(t *testing.T, c *Cache) {
	t.Helper()
	testkit.Eventually(t, "the store is used", func() bool { return c.Stats().Shared.State == "up" })
}

func entry(names ...string) Entry {
	r := backends.Clean(0)
	if len(names) > 0 {
		r = backends.Found(1, names...)
	}
	return Entry{r, time.Now()}
}

func lookup(c *Cache, key string) *Hit { return c.Lookup(context.Background(), []Key{keyOf(key)})[0] }

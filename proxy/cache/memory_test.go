package cache

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/test/testkit"
)

func TestMemory(t *testing.T) {
	clock := &clock{}
	c := newTestCache(t, Config{Memory: 1 << 20}, clock)
	want := entry("Eicar", "Other")
	c.Add(keyOf("a"), want, time.Minute)
	hits := c.Lookup(context.Background(), []Key{keyOf("none"), keyOf("a")})
	if len(hits) != 2 || hits[0] != nil || hits[1] == nil || hits[1].Source != Memory ||
		!reflect.DeepEqual(hits[1].Result, want.Result) || !hits[1].Scanned.Equal(want.Scanned) {
		t.Fatalf("hits %+v", hits)
	}
	// Neither the entry that was added nor a hit shares memory with what is kept.
	want.Result.Findings[0].Name = "changed"
	hits[1].Result.Findings[1].Category = backends.OK
	if again := lookup(c, "a"); again.Result.Findings[0].Name != "Eicar" || again.Result.Findings[1].Category != backends.Virus {
		t.Errorf("a caller changed the entry: %+v", again)
	}
	testkit.Eventually(t, "the entry is counted", func() bool { return c.Stats().Memory.Bytes > 0 })
	if s := c.Stats().Memory; s.Hits != 2 || s.Misses != 1 || s.Added != 1 || s.Entries != 1 || s.Limit != 1<<20 {
		t.Errorf("stats %+v", s)
	}
	clock.add(time.Minute)
	if lookup(c, "a") != nil {
		t.Error("an entry counts after its time")
	}
	c.Add(keyOf("b"), entry(), time.Minute)
	c.Flush(context.Background(), false)
	if lookup(c, "b") != nil {
		t.Error("an entry survives a flush")
	}
	c.Add(keyOf("b"), entry(), time.Minute)
	c.Close()
	c.Add(keyOf("c"), entry(), time.Minute)
	if lookup(c, "b") != nil || lookup(c, "c") != nil {
		t.Error("a closed cache has entries")
	}
}

func TestRefused(t *testing.T) {
	c := newTestCache(t, Config{Memory: 1 << 20}, &clock{})
	for name, e := range map[string]Entry{
		"failure": {backends.Result{Category: backends.SWErr}, time.Now()}, "nothing": {}, "huge": entry(fmt.Sprint(make([]byte, 5000))),
	} {
		c.Add(keyOf(name), e, time.Hour)
	}
	c.Add(keyOf("no time"), entry(), 0)
	if s := c.Stats().Memory; s.Added != 0 {
		t.Errorf("added %d", s.Added)
	}
}

func TestNil(t *testing.T) {
	var c *Cache
	ctx := context.Background()
	c.Add(keyOf("a"), entry(), time.Hour)
	c.AddFailure(ctx, keyOf("a"), time.Hour)
	p := NewPending(c)
	if hits, failures := c.LookupWith(ctx, []Key{keyOf("a")}, []Key{{}}); hits[0] != nil || failures[0] != 0 || c.Failures(ctx, Key{}) != 0 {
		t.Error("a nil cache has something")
	}
	if p.Add(keyOf("a"), entry(), time.Hour) || p.Confirm(time.Now()) || c.Flush(ctx, true) != nil || c.Identity() != "" {
		t.Error("a nil cache does something")
	}
	p.Drop()
	c.Stats()
	c.Close()
}

// TestCost compares what the cache believes to take with what it takes.
func TestCost(t *testing.T) {
	const n = 20000
	keys := make([]Key, n)
	for i := range keys {
		keys[i] = keyOf(fmt.Sprint(i))
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	c := newTestCache(t, Config{Memory: 1 << 30}, &clock{})
	for i, k := range keys {
		e := entry()
		if i%10 == 0 {
			e = entry("Win.Test.EICAR_HDB-1")
		}
		c.Add(k, e, time.Hour)
	}
	took := heap() - before
	bytes := c.Stats().Memory.Bytes
	t.Logf("%d bytes an entry, the cache counts %d", took/n, bytes/n)
	if took > bytes || took < bytes/2 {
		t.Errorf("%d entries take %d bytes, the cache counts %d", n, took, bytes)
	}
	runtime.KeepAlive(keys)
}

func TestMemoryIsBounded(t *testing.T) {
	const limit = 1 << 20
	c := newTestCache(t, Config{Memory: limit}, &clock{})
	var all sync.WaitGroup
	for w := range 4 {
		all.Go(func() {
			for i := range 2000 {
				c.Add(keyOf(fmt.Sprint(w, i)), entry(), time.Hour)
			}
		})
	}
	all.Wait()
	testkit.Eventually(t, "the cache is within its limit", func() bool { return c.Stats().Memory.Bytes <= limit })
	if s := c.Stats().Memory; s.Evicted == 0 || s.Entries == 0 || s.Added != 8000 {
		t.Errorf("stats %+v", s)
	}
}

func TestPending(t *testing.T) {
	c := newTestCache(t, Config{Memory: 1 << 20}, &clock{})
	p := NewPending(c)
	begin := time.Now()
	at := func(d time.Duration) Entry { return Entry{backends.Clean(0), begin.Add(d)} }
	if !p.Add(keyOf("before"), at(-1), time.Hour) || p.Add(keyOf("same"), at(0), time.Hour) || p.Add(keyOf("after"), at(1), time.Hour) {
		t.Error("the first is not the first")
	}
	if lookup(c, "before") != nil || c.Stats().Pending.Waiting != 3 {
		t.Errorf("not confirmed, but there: %+v", c.Stats())
	}
	if !p.Confirm(begin) || lookup(c, "before") == nil || lookup(c, "same") != nil || lookup(c, "after") != nil {
		t.Error("the check confirms what was not answered before it")
	}
	p.Drop()
	if p.Confirm(begin.Add(time.Hour)) || lookup(c, "same") != nil {
		t.Error("dropped entries are there")
	}
	if !p.Add(keyOf("flushed"), at(-1), time.Hour) {
		t.Error("not the first after a drop")
	}
	c.Flush(context.Background(), false)
	if p.Confirm(begin); lookup(c, "flushed") != nil {
		t.Error("an answer from before the flush is there after it")
	}
	if s := c.Stats().Pending; s.Waiting != 0 || s.Confirmed != 2 || s.Dropped != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestPendingIsBounded(t *testing.T) {
	c := newTestCache(t, Config{Memory: 64 << 20}, &clock{})
	for _, name := range []string{"", "a long name " + fmt.Sprint(make([]byte, 400))} {
		p := NewPending(c)
		e := entry()
		if name != "" {
			e = entry(name)
		}
		for i := range maxPending + 100 {
			p.Add(keyOf(fmt.Sprint(i, name)), e, time.Hour)
		}
		if len(p.waiting) > maxPending || p.bytes > maxPendingBytes {
			t.Errorf("%d entries wait, with %d bytes", len(p.waiting), p.bytes)
		}
		p.Confirm(time.Now().Add(time.Hour))
		if lookup(c, fmt.Sprint(0, name)) != nil || lookup(c, fmt.Sprint(maxPending+99, name)) == nil {
			t.Error("not the oldest were dropped")
		}
	}
}

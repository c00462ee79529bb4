package cache

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// TestFlushForgets checks that a flush removes what is in memory, and that what was found
// before it is not kept there after it.
func TestFlushForgets(t *testing.T) {
	c := newTestCache(t, Config{Memory: 1 << 20}, &clock{})
	c.Add(keyOf("a"), entry(), time.Hour)
	before := c.flushes.Load()
	if err := c.Flush(context.Background(), false); err != nil {
		t.Fatal(err)
	}
	c.memory.entries.CleanUp()
	if n := c.Stats().Memory.Entries; n != 0 {
		t.Errorf("%d entries are left", n)
	}
	data, _ := encode(entry())
	c.memory.set(keyOf("late"), string(data), time.Now().Add(time.Hour), before)
	if lookup(c, "late") != nil {
		t.Error("what was found before the flush counts after it")
	}
}

// TestFlushedIsNotShared checks that a result from before a flush of all hosts is not written
// to the store after it, where it would count.
func TestFlushedIsNotShared(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store}, &clock{})
	p := NewPending(c)
	p.Add(keyOf("a"), entry(), time.Hour)
	if err := c.Flush(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	p.Confirm(time.Now().Add(time.Hour))
	c.Add(keyOf("b"), entry(), time.Hour)
	testkit.Eventually(t, "b is in the store", func() bool { return lookup(c, "b") != nil })
	if lookup(c, "a") != nil {
		t.Error("a result from before the flush is shared")
	}
}

// TestSealed checks what a signature covers besides key and value, and which times count.
func TestSealed(t *testing.T) {
	clock := &clock{}
	s := newSigner(secret, clock.now)
	k := keyOf("a")
	for _, kind := range []byte{kindFailure, kindGeneration} {
		if _, ok := s.verify(kind, k, s.sign(kindEntry, k, []byte("data"))); ok {
			t.Errorf("an entry is accepted as %c", kind)
		}
	}
	data, _ := encode(entry("Eicar"))
	seal := func(ttl time.Duration) []byte { return s.sealEntry(k, data, clock.now().Add(ttl), 7) }
	if e, ok := s.openEntry(k, seal(maxTTL)); e == nil || !ok || e.generation != 7 {
		t.Errorf("%+v, %v", e, ok)
	}
	if e, ok := s.openEntry(k, seal(maxTTL+2*clockSkew)); e != nil || ok {
		t.Errorf("a value that lasts too long: %+v, %v", e, ok)
	}
	other := seal(time.Hour)
	other = s.sign(kindEntry, k, append([]byte{sealVersion + 1}, other[1:len(other)-macSize]...))
	if e, ok := s.openEntry(k, other); e != nil || !ok {
		t.Errorf("a value of another version: %+v, genuine %v", e, ok)
	}
	if e, ok := s.openEntry(k, s.sign(kindEntry, k, []byte{sealVersion})); e != nil || !ok {
		t.Errorf("a value without a head: %+v, genuine %v", e, ok)
	}
}

// TestFailureRecords counts records of failures: each once, and only in its time.
func TestFailureRecords(t *testing.T) {
	clock := &clock{}
	s := newSigner(secret, clock.now)
	k := keyOf("a")
	one, two := s.failure(k, time.Minute), s.failure(k, time.Hour)
	foreign := s.failure(keyOf("b"), time.Hour)
	value := slices.Concat(one, one, two, foreign, two, one)
	if n, bad := s.countFailures(k, value); n != 2 || bad != 1 {
		t.Errorf("%d failures, %d bad", n, bad)
	}
	clock.add(2 * time.Minute)
	if n, _ := s.countFailures(k, value); n != 1 {
		t.Errorf("%d failures after the time of one", n)
	}
}

func TestLongestTTL(t *testing.T) {
	clock := &clock{}
	c := newTestCache(t, Config{Memory: 1 << 20}, clock)
	c.Add(keyOf("a"), entry(), 10*maxTTL)
	clock.add(maxTTL - time.Minute)
	if lookup(c, "a") == nil {
		t.Error("gone before its time")
	}
	clock.add(2 * time.Minute)
	if lookup(c, "a") != nil {
		t.Error("kept for too long")
	}
}

// TestPendingCopies checks that what waits does not change with the memory of its owner.
func TestPendingCopies(t *testing.T) {
	c := newTestCache(t, Config{Memory: 1 << 20}, &clock{})
	p := NewPending(c)
	e := entry("Eicar")
	p.Add(keyOf("a"), e, time.Hour)
	e.Result.Findings[0].Name = "changed"
	p.Confirm(time.Now().Add(time.Hour))
	if hit := lookup(c, "a"); hit == nil || hit.Result.Findings[0].Name != "Eicar" {
		t.Errorf("%+v", hit)
	}
}

// TestKeptExactly has results of all categories, with codes, hostile names and details, go
// through the memory, through what waits, and through a store: they come back as they were.
func TestKeptExactly(t *testing.T) {
	store := newFakeStore()
	writer := newTestCache(t, Config{Store: store}, &clock{})
	reader := newTestCache(t, Config{Store: store}, &clock{})
	local := newTestCache(t, Config{Memory: 8 << 20}, &clock{})
	pending := NewPending(local)
	texts := []string{
		"", "Eicar", "a: OK\n1: stream: OK", "x\x00y FOUND\r\n", "\xff\xfe", "(code=3/category=ok)", "\x1b[2J", "Ünïcödé \u202e", string(make([]byte, 200)),
	}
	codes := []int{0, 1, -1, backends.NoCode, 1<<31 - 1, -1 << 31, 1 << 62}
	want := map[Key]Entry{}
	for _, category := range codedCategories[1:] {
		for i, code := range codes {
			for j, name := range texts {
				e := Entry{backends.Result{Category: category, Code: code, Detail: texts[(i+j)%len(texts)]}, time.Unix(0, time.Now().UnixNano())}
				for n := range j % 4 {
					e.Result.Findings = append(e.Result.Findings, backends.Finding{Name: name, Category: codedCategories[1+(i+n)%(len(codedCategories)-1)]})
				}
				want[keyOf(fmt.Sprint(category, i, j))] = e
			}
		}
	}
	for k, e := range want {
		writer.Add(k, e, time.Hour)
		pending.Add(k, e, time.Hour)
	}
	pending.Confirm(time.Now().Add(time.Hour))
	for k, e := range want {
		testkit.Eventually(t, "the store has the result", func() bool { return reader.Lookup(context.Background(), []Key{k})[0] != nil })
		for origin, c := range map[Source]*Cache{Shared: reader, Memory: local} {
			hit := c.Lookup(context.Background(), []Key{k})[0]
			if hit == nil || hit.Source != origin || !reflect.DeepEqual(hit.Entry, e) {
				t.Fatalf("%s has %+v, want %+v", origin, hit, e)
			}
		}
	}
}

// TestFlushOfASlowClock checks that a host whose clock is slow can flush too.
func TestFlushOfASlowClock(t *testing.T) {
	store, clock := newFakeStore(), &clock{}
	c := newTestCache(t, Config{Store: store}, clock)
	clock.add(time.Hour)
	if err := c.Flush(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	clock.add(-time.Hour)
	c.Add(keyOf("a"), entry(), time.Hour)
	testkit.Eventually(t, "a is in the store", func() bool { return lookup(c, "a") != nil })
	if err := c.Flush(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	if lookup(c, "a") != nil {
		t.Error("an entry from before the flush counts")
	}
}

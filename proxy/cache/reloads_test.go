package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/test/testkit"
)

// known waits until a host knows the numbers of reloads, and returns that of an engine.
func known(t *testing.T, c *Cache, engine string) (number uint64) {
	t.Helper()
	testkit.Eventually(t, "the number is known", func() bool {
		r := c.reloadsOf(keyOf(engine)).last.Load()
		if r != nil {
			number = r.Number
		}
		return r != nil
	})
	return number
}

// higher waits until the number of an engine is higher than before.
func higher(t *testing.T, c *Cache, engine string, before uint64) (number uint64) {
	t.Helper()
	testkit.Eventually(t, "the reload is known", func() bool {
		r, _ := c.LastReload(keyOf(engine))
		number = r.Number
		return number > before
	})
	return number
}

func reloadName(engine string) string {
	_, names := engineNames(map[Key]*reloads{keyOf(engine): nil})
	return names[0]
}

// TestReloadReachesAll has hosts whose clocks differ by days. Every reload gets a number that
// is higher than all that any host knew before it.
func TestReloadReachesAll(t *testing.T) {
	store, now, slow, fast := newFakeStore(), &clock{}, &clock{}, &clock{}
	slow.add(-50 * time.Hour)
	fast.add(70 * time.Hour)
	var hosts []*Cache
	for _, c := range []*clock{fast, slow, now} {
		hosts = append(hosts, newTestCache(t, Config{Store: store}, c))
	}
	for _, h := range hosts {
		if n := known(t, h, "clamav") + known(t, h, "other"); n != 0 {
			t.Fatalf("the number is %d before a reload", n)
		}
	}
	last := uint64(0)
	for i := range 6 {
		begin := time.Now()
		one := hosts[i%3]
		one.AddReload(keyOf("clamav"))
		next := higher(t, one, "clamav", last)
		for _, h := range hosts {
			if i > 0 { // the first time watch does it
				h.shared.readSoon()
			}
			if n := higher(t, h, "clamav", last); n != next {
				t.Errorf("a host has the number %d, another one %d", n, next)
			}
			if n := known(t, h, "other"); n != 0 {
				t.Errorf("another engine has the number %d", n)
			}
		}
		if r, ok := one.LastReload(keyOf("clamav")); !ok || r.Noticed.IsZero() {
			t.Errorf("%+v", r)
		}
		t.Logf("number %d on all hosts after %v", next, time.Since(begin))
		last = next
	}
}

// TestReloadAtTheSameTime has all hosts reload together, many times.
func TestReloadAtTheSameTime(t *testing.T) {
	store := newFakeStore()
	var hosts []*Cache
	for i := range 4 {
		c := &clock{}
		c.add(time.Duration(i) * time.Hour)
		hosts = append(hosts, newTestCache(t, Config{Store: store}, c))
	}
	for range 20 {
		before := uint64(0)
		for _, h := range hosts {
			before = max(before, known(t, h, "clamav"))
		}
		for _, h := range hosts {
			go h.AddReload(keyOf("clamav"))
		}
		numbers := map[uint64]bool{}
		testkit.Eventually(t, "all hosts have the same number", func() bool {
			clear(numbers)
			for _, h := range hosts {
				h.shared.readSoon()
				r := h.reloadsOf(keyOf("clamav"))
				if r.number() <= before || r.seen.Load() == 0 {
					return false
				}
				numbers[r.number()] = true
			}
			return len(numbers) == 1
		})
	}
}

// TestReloadValues has an attacker who can write to the store.
func TestReloadValues(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store}, &clock{})
	zero := known(t, c, "clamav")
	name := reloadName("clamav")
	c.AddReload(keyOf("clamav"))
	first := higher(t, c, "clamav", zero)
	value := func() (v []byte) {
		store.set(func() { v = append(v, store.values[name]...) })
		return v
	}
	old := value()
	c.AddReload(keyOf("clamav"))
	second := higher(t, c, "clamav", first)
	genuine := value()
	foreign := newSigner([]byte(strings.Repeat("another secret", 5)), time.Now)
	flipped := append([]byte(nil), genuine...)
	flipped[0] ^= 0x40
	for _, tt := range []struct {
		name     string
		value    []byte
		rejected bool
	}{
		{"none", nil, false},
		{"an earlier one", old, false},
		{"garbage", []byte("9999999999999999"), true},
		{"one bit", flipped, true},
		{"truncated", genuine[1:], true},
		{"longer", append([]byte{1}, genuine...), true},
		{"another secret", foreign.sealReload(keyOf("clamav"), second+1000), true},
		{"that of another engine", c.shared.signer.sealReload(keyOf("other"), second+1000), true},
		{"a generation", c.shared.signer.sealGeneration(second + 1000), true},
		{"an entry", c.shared.signer.sealEntry(keyOf("clamav"), []byte("x"), time.Now().Add(time.Hour), second), true},
	} {
		before := c.Stats().Shared.Forged
		store.set(func() { store.values[name] = tt.value })
		c.shared.readSoon()
		testkit.Eventually(t, tt.name+": the number is written again", func() bool { return string(value()) == string(genuine) })
		if n := known(t, c, "clamav"); n != second {
			t.Errorf("%s: the number is %d, want %d", tt.name, n, second)
		}
		if got := c.Stats().Shared.Forged - before; (got > 0) != tt.rejected {
			t.Errorf("%s: %d rejected", tt.name, got)
		}
	}
	// A host that starts while an earlier number is there gets the right one from the first.
	store.set(func() { store.values[name] = old })
	late := newTestCache(t, Config{Store: store}, &clock{})
	known(t, late, "clamav")
	c.shared.readSoon()
	testkit.Eventually(t, "the number is written again", func() bool { return string(value()) == string(genuine) })
	late.shared.readSoon()
	higher(t, late, "clamav", first)
}

// TestReloadWhileDown has a reload while the store does not answer, and while it does not
// accept writes.
func TestReloadWhileDown(t *testing.T) {
	store := newFakeStore()
	var log lockedBuffer
	one := newTestCache(t, Config{Store: store, Log: zerolog.New(&log)}, &clock{})
	two := newTestCache(t, Config{Store: store}, &clock{})
	before := known(t, one, "clamav") + known(t, two, "clamav")
	store.set(func() { store.err = &StoreError{Reason: "it is broken"} })
	for range 20 {
		lookup(one, "a")
	}
	one.AddReload(keyOf("clamav"))
	if r, ok := one.LastReload(keyOf("clamav")); r.Number != before || !ok {
		t.Errorf("%+v, %v", r, ok)
	}
	store.set(func() { store.err = nil })
	after := higher(t, one, "clamav", before)
	two.shared.readSoon()
	if n := higher(t, two, "clamav", before); n != after {
		t.Errorf("the other host has the number %d, want %d", n, after)
	}
	store.set(func() { store.putErr = &StoreError{Reason: "full", Refused: true, Hint: "make room"} })
	one.AddReload(keyOf("clamav"))
	const line = "does not accept a reload"
	testkit.Eventually(t, "the log says it", func() bool { return strings.Contains(log.String(), line) })
	one.shared.readSoon()
	if n := known(t, one, "clamav"); n != after {
		t.Errorf("the number is %d although it is not written", n)
	}
	store.set(func() { store.putErr = nil })
	one.shared.readSoon()
	higher(t, one, "clamav", after)
	if n := strings.Count(log.String(), line); n != 1 || !strings.Contains(log.String(), "make room") {
		t.Errorf("%d lines:\n%s", n, log.String())
	}
}

// TestReloadUnknown has a host that has not asked yet: while the store answers, nothing in it
// may be used.
func TestReloadUnknown(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store}, &clock{})
	hang := make(chan struct{})
	store.set(func() { store.hang = hang })
	if _, ok := c.LastReload(keyOf("clamav")); ok {
		t.Error("the number is known before the store was asked")
	}
	close(hang)
	store.set(func() { store.hang = nil })
	known(t, c, "clamav")
	if r, ok := c.LastReload(keyOf("clamav")); !ok || r.Number != 0 {
		t.Errorf("%+v, %v", r, ok)
	}
	store.set(func() { store.err = &StoreError{Reason: "it is broken"} })
	for range 20 {
		lookup(c, "a")
	}
	if _, ok := c.LastReload(keyOf("another")); !ok {
		t.Error("results in memory are not used while the store is down")
	}
	var none *Cache
	none.AddReload(keyOf("clamav"))
	if _, ok := none.LastReload(keyOf("clamav")); !ok {
		t.Error("no cache, but a number is missing")
	}
}

// TestManyEngines has more engines than are remembered.
func TestManyEngines(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store, Memory: 1 << 20}, &clock{})
	c.Add(keyOf("a"), entry(), time.Hour)
	c.AddReload(keyOf("engine 0"))
	number := higher(t, c, "engine 0", 0)
	for i := range maxEngines + 10 {
		c.LastReload(keyOf(fmt.Sprint("engine ", i)))
	}
	if n := len(c.shared.engines.all()); n > maxEngines {
		t.Errorf("%d engines", n)
	}
	if c.memory.stats().Entries != 0 {
		t.Error("results under forgotten numbers are in memory")
	}
	if n := known(t, c, "engine 0"); n != number {
		t.Errorf("the number is %d, want %d", n, number)
	}
}

func FuzzReload(f *testing.F) {
	s := newSigner(secret, time.Now)
	f.Add(s.sealReload(Key{}, 7))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, value []byte) {
		if n, ok := s.openReload(Key{}, value); ok && string(s.sealReload(Key{}, n)) != string(value) {
			t.Errorf("%d from %x", n, value)
		}
		s.openReload(Key{}, s.sign(kindReload, Key{}, value))
	})
}

// TestReloadQuestions checks that engines cost one question to the store, not one each.
func TestReloadQuestions(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store}, &clock{})
	for i := range 10 {
		known(t, c, fmt.Sprint(i))
	}
	before := 0
	store.set(func() { before = store.gets })
	if err := c.shared.readState(time.Second); err != nil {
		t.Fatal(err)
	}
	store.set(func() {
		if n := store.gets - before; n > 2 { // one may be that of watch
			t.Errorf("%d questions for ten engines", n)
		}
	})
}

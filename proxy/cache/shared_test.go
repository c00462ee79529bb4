package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"polyclam/test/testkit"
)

func TestSharedHit(t *testing.T) {
	clock, store := &clock{}, newFakeStore()
	one := newTestCache(t, Config{Store: store}, clock)
	two := newTestCache(t, Config{Store: store, Memory: 1 << 20}, clock)
	one.Add(keyOf("a"), entry("Eicar"), time.Hour)
	one.Add(keyOf("b"), entry(), time.Hour)
	testkit.Eventually(t, "the store has both", func() bool { return store.len() == 2 })
	before := store.gets
	hits := two.Lookup(context.Background(), []Key{keyOf("a"), keyOf("none"), keyOf("b")})
	if hits[0] == nil || hits[0].Source != Shared || hits[0].Result.Findings[0].Name != "Eicar" || hits[1] != nil || hits[2] == nil || hits[2].Result.Findings != nil {
		t.Fatalf("hits %+v", hits)
	}
	store.set(func() {
		if store.gets != before+1 {
			t.Errorf("%d questions for three keys", store.gets-before)
		}
	})
	if hit := lookup(two, "a"); hit == nil || hit.Source != Memory {
		t.Errorf("the second lookup: %+v", hit)
	}
	clock.add(59 * time.Minute)
	if lookup(two, "a") == nil {
		t.Error("gone before its time")
	}
	clock.add(time.Minute)
	if lookup(two, "a") != nil || lookup(one, "a") != nil {
		t.Error("an entry counts after its time")
	}
	if s := one.Stats().Shared; s.Forged != 0 {
		t.Errorf("%d rejected: it has only just expired", s.Forged)
	}
	clock.add(2 * time.Minute)
	if lookup(one, "a") != nil || one.Stats().Shared.Forged != 1 {
		t.Error("an old value that was put back is not rejected")
	}
	clock.add(-5 * time.Hour)
	if lookup(one, "a") != nil || one.Stats().Shared.Forged != 2 {
		t.Error("a value from the future is not rejected")
	}
}

// TestOtherSecret has two hosts with different keys.
func TestOtherSecret(t *testing.T) {
	store, clock := newFakeStore(), &clock{}
	var log lockedBuffer
	one := newTestCache(t, Config{Store: store}, clock)
	two := newTestCache(t, Config{Store: store, Secret: bytes.Repeat([]byte("other"), 10), Log: zerolog.New(&log)}, clock)
	one.Add(keyOf("a"), entry(), time.Hour)
	testkit.Eventually(t, "the store has it", func() bool { return store.len() == 1 })
	for range 3 {
		if lookup(two, "a") != nil {
			t.Fatal("a result with another signature counts")
		}
	}
	if s := two.Stats().Shared; s.Forged != 3 || s.Misses != 3 || s.Hits != 0 {
		t.Errorf("stats %+v", s)
	}
	if n := strings.Count(log.String(), "not genuine"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// TestEveryBit changes each bit of a sealed entry.
func TestEveryBit(t *testing.T) {
	s := newSigner(secret, time.Now)
	data, _ := encode(entry("Eicar"))
	value := s.sealEntry(keyOf("a"), data, time.Now().Add(time.Hour), 5)
	if e, ok := s.openEntry(keyOf("a"), value); !ok || e == nil || e.generation != 5 {
		t.Fatal("a genuine value is not accepted")
	}
	for i := range len(value) * 8 {
		changed := bytes.Clone(value)
		changed[i/8] ^= 1 << (i % 8)
		if e, ok := s.openEntry(keyOf("a"), changed); e != nil || ok {
			t.Errorf("accepted with bit %d changed", i)
		}
	}
	for i := range value {
		if e, ok := s.openEntry(keyOf("a"), value[:i]); e != nil || ok {
			t.Errorf("the first %d bytes are accepted", i)
		}
	}
	if e, _ := s.openEntry(keyOf("b"), value); e != nil {
		t.Error("accepted for another object")
	}
	// A record of a failure is no entry, and the other way round.
	if e, _ := s.openEntry(keyOf("a"), s.failure(keyOf("a"), time.Hour)); e != nil {
		t.Error("a failure is an entry")
	}
	if n, _ := s.countFailures(keyOf("a"), value); n != 0 {
		t.Error("an entry is a failure")
	}
}

func FuzzOpen(f *testing.F) {
	s := newSigner(secret, time.Now)
	data, _ := encode(entry("Eicar"))
	f.Add(s.sealEntry(Key{}, data, time.Now().Add(time.Hour), 0))
	f.Add(s.failure(Key{}, time.Hour))
	f.Fuzz(func(t *testing.T, value []byte) {
		s.openEntry(Key{}, value)
		s.openGeneration(value)
		if n, bad := s.countFailures(Key{}, value); n+bad > len(value)/failureSize {
			t.Errorf("%d failures and %d bad ones in %d bytes", n, bad, len(value))
		}
		// What is signed but not an entry must not harm either.
		s.openEntry(Key{}, s.sign(kindEntry, Key{}, value))
		s.openGeneration(s.sign(kindGeneration, Key{}, value))
	})
}

// TestHang has a store that answers nothing and ignores its context.
func TestHang(t *testing.T) {
	store := newFakeStore()
	var log lockedBuffer
	c := newTestCache(t, Config{Store: store, Budget: 20 * time.Millisecond, Log: zerolog.New(&log)}, &clock{})
	hang := make(chan struct{})
	store.set(func() { store.hang = hang })
	for range 100 {
		if lookup(c, "a") != nil {
			t.Fatal("a hit")
		}
		c.AddFailure(context.Background(), keyOf("x"), time.Hour)
		c.Add(keyOf("a"), entry(), time.Hour)
	}
	s := c.Stats().Shared
	// One more may be asked before the breaker knows of the fifth.
	if s.State != "down" && s.Late > maxFailures || s.Late == 0 || s.Skipped < 190 {
		t.Errorf("stats %+v", s)
	}
	close(hang)
	store.set(func() { store.hang = nil })
	waitUp(t, c)
	testkit.Eventually(t, "a hit", func() bool { return lookup(c, "a") != nil })
}

// TestBreaker counts failures.
func TestBreaker(t *testing.T) {
	broken := errors.New("x")
	b := newBreaker(time.Second, time.Now)
	if _, ok := b.begin(t.Context()); ok {
		t.Error("asks before the store has answered")
	}
	b.close()
	for i := range maxFailures {
		if _, ok := b.begin(t.Context()); !ok {
			t.Fatalf("does not ask after %d failures", i)
		}
		if opens := b.fail(broken); opens != (i == maxFailures-1) {
			t.Errorf("failure %d: opens %v", i+1, opens)
		}
		b.end()
	}
	isOpen, opened, _, reason := b.state()
	if _, ok := b.begin(t.Context()); ok || !isOpen || reason != broken {
		t.Error("asks although open")
	}
	select {
	case <-opened:
	default:
		t.Error("who waits does not notice")
	}
	b.close()
	for range 100 { // one of ten is no reason
		b.fail(broken)
		for range 9 {
			b.succeed()
		}
	}
	if isOpen, _, _, _ := b.state(); isOpen {
		t.Error("opens for single failures")
	}
	for range 100 { // one of three
		b.fail(broken)
		b.succeed()
		b.succeed()
	}
	if isOpen, _, _, _ := b.state(); !isOpen {
		t.Error("a third fails, but it stays closed")
	}
}

// TestBreakerTurns has as many questions under way as may fail, and others that wait for them.
func TestBreakerTurns(t *testing.T) {
	b := newBreaker(time.Hour, time.Now)
	b.close()
	ask := func() bool { _, ok := b.begin(t.Context()); return ok }
	for range maxFailures {
		if !ask() {
			t.Fatal("does not ask")
		}
	}
	waiting := func() int { b.mu.Lock(); defer b.mu.Unlock(); return len(b.waiting) }
	turns := make(chan bool)
	begin := func(n int) {
		go func() { turns <- ask() }()
		testkit.Eventually(t, "it waits", func() bool { return waiting() == n })
	}
	begin(1)
	b.end()
	if !<-turns {
		t.Error("the end of one is no turn for another")
	}

	// After a failure one fewer may be under way.
	begin(1)
	b.fail(errors.New("x"))
	b.end()
	if waiting() != 1 {
		t.Error("more are under way than may fail until it opens")
	}
	b.end()
	if !<-turns {
		t.Error("the end of the next is no turn")
	}

	// One whose client leaves gives up its place, and so do all when the breaker opens.
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, ok := b.begin(ctx); turns <- ok }()
	testkit.Eventually(t, "it waits", func() bool { return waiting() == 1 })
	cancel()
	if <-turns || waiting() != 0 {
		t.Error("asks without a turn")
	}
	begin(1)
	begin(2)
	for range maxFailures - 1 {
		b.fail(errors.New("x"))
	}
	for range 2 {
		if <-turns {
			t.Error("asks although open")
		}
	}
}

// TestBreakerPatience has questions while the store shows no sign of life.
func TestBreakerPatience(t *testing.T) {
	c := &clock{}
	b := newBreaker(20*time.Millisecond, c.now)
	b.close()
	if _, ok := b.begin(t.Context()); !ok {
		t.Fatal("does not ask")
	}
	c.add(time.Second)
	if _, ok := b.begin(t.Context()); ok {
		t.Error("asks although the store owes an answer")
	}
	b.sign()
	for range maxFailures - 1 {
		if _, ok := b.begin(t.Context()); !ok {
			t.Fatal("does not ask although the store has answered")
		}
	}
	if _, ok := b.begin(t.Context()); ok || len(b.waiting) > 0 { // after a wait of 5 ms
		t.Error("asks although as many are under way as may fail")
	}
}

func TestFailing(t *testing.T) {
	store := newFakeStore()
	var log lockedBuffer
	c := newTestCache(t, Config{Store: store, Log: zerolog.New(&log)}, &clock{})
	store.set(func() { store.err = &StoreError{Reason: "it is broken", Hint: "repair it"} })
	for range 50 {
		lookup(c, "a")
	}
	s := c.Stats().Shared
	if s.State != "down" || s.Reason != "it is broken" || s.Failed < maxFailures || s.Failed+s.Skipped < 50 {
		t.Errorf("stats %+v", s)
	}
	testkit.Eventually(t, "the log says it", func() bool { return strings.Contains(log.String(), `"hint":"repair it"`) })
	store.set(func() { store.err = nil })
	waitUp(t, c)
}

// TestRefusedWrites has a store that can be read only.
func TestRefusedWrites(t *testing.T) {
	store := newFakeStore()
	store.putErr = &StoreError{Reason: "full", Refused: true}
	var log lockedBuffer
	c := newTestCache(t, Config{Store: store, Log: zerolog.New(&log)}, &clock{})
	for i := range 100 {
		c.Add(keyOf(fmt.Sprint(i)), entry(), time.Hour)
	}
	testkit.Eventually(t, "all have failed", func() bool { return c.Stats().Shared.Failed == 100 })
	if s := c.Stats().Shared; s.State != "up" || s.Added != 0 {
		t.Errorf("stats %+v", s)
	}
	if n := strings.Count(log.String(), "does not accept results"); n != 1 {
		t.Errorf("%d lines", n)
	}
	var e *StoreError
	if err := c.Flush(context.Background(), true); !errors.As(err, &e) || e.Reason != "full" {
		t.Errorf("flush: %v", err)
	}
}

// TestQueue has more to write than the queue holds, and a close that writes what waits.
func TestQueue(t *testing.T) {
	store := newFakeStore()
	c := newTestCache(t, Config{Store: store}, &clock{})
	hang := make(chan struct{})
	store.set(func() { store.hang = hang })
	const n = maxQueue + 200
	for i := range n {
		c.Add(keyOf(fmt.Sprint(i)), entry(), time.Hour)
	}
	if s := c.Stats().Shared; s.Dropped == 0 || s.Dropped > 200 {
		t.Errorf("stats %+v", s)
	}
	var closed sync.WaitGroup
	closed.Go(c.Close)
	close(hang)
	closed.Wait()
	s := c.Stats().Shared
	if s.Added+s.Dropped != n || store.len() != int(s.Added) {
		t.Errorf("%d are in the store: %+v", store.len(), s)
	}
}

// TestFlushReachesAll has two hosts, one with an entry in memory.
func TestFlushReachesAll(t *testing.T) {
	store, clock := newFakeStore(), &clock{}
	one := newTestCache(t, Config{Store: store}, clock)
	two := newTestCache(t, Config{Store: store, Memory: 1 << 20}, clock)
	one.Add(keyOf("a"), entry(), time.Hour)
	testkit.Eventually(t, "two has it", func() bool { return lookup(two, "a") != nil })
	p := NewPending(two)
	p.Add(keyOf("waits"), entry(), time.Hour)
	if err := one.Flush(context.Background(), true); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, "two has flushed", func() bool { return lookup(two, "a") == nil })
	if p.Confirm(time.Now().Add(time.Hour)); lookup(two, "waits") != nil {
		t.Error("what was answered before the flush is added after it")
	}
	// The store loses the generation, or an attacker puts back an earlier one.
	store.set(func() { delete(store.values, generationKey) })
	testkit.Eventually(t, "a host writes it again", func() bool {
		store.mu.Lock()
		defer store.mu.Unlock()
		return store.values[generationKey] != nil
	})
	if lookup(two, "a") != nil || lookup(one, "a") != nil {
		t.Error("an old entry is back")
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

package spool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"polyclam/proxy/client"
)

func TestQuotaWithoutWait(t *testing.T) {
	const k = 1 << 10
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 16 * k, Total: 100 * k, Store: store})
		held := spooled(t, s, random(90*k))
		w := s.Create(t.Context())
		var err error
		for err == nil {
			_, err = w.Write(random(k))
		}
		checkIs(t, err, ErrQuota)
		if got := s.Stats().Used; got != 92*k { // 90 KiB are 23 pages
			t.Errorf("used %d after the error, want %d", got, 92*k)
		}
		if n, again := w.Write(nil); n != 0 || !errors.Is(again, ErrQuota) {
			t.Errorf("Write after the error: %d, %v", n, again)
		}
		if o, again := w.Finish(); o != nil || !errors.Is(again, ErrQuota) {
			t.Errorf("Finish after the error: %v, %v", o, again)
		}
		w.Abort()
		held.Release()
		checkEmpty(t, s)
		spooled(t, s, random(90*k)).Release()
	}
}

// TestQuotaTooLarge proves that a content that can never fit does not wait.
func TestQuotaTooLarge(t *testing.T) {
	s := newSpool(t, Config{Total: 100 << 10, Wait: 10 * hang})
	w := s.Create(t.Context())
	_, err := w.Write(random(101 << 10))
	checkIs(t, err, ErrQuota)
	spooled(t, s, random(100<<10)).Release()
}

// full returns a spool of 64 KiB, all used up by the returned content.
func full(t *testing.T, wait time.Duration) (*Spool, *Object) {
	t.Helper()
	s := newSpool(t, Config{Total: 64 << 10, Wait: wait})
	return s, spooled(t, s, random(64<<10))
}

// write writes n bytes in the background.
func write(w *Writer, n int) <-chan error {
	errs := make(chan error, 1)
	go func() {
		_, err := w.Write(random(n))
		errs <- err
	}()
	return errs
}

func waiting(t *testing.T, s *Spool, n int) {
	t.Helper()
	eventually(t, "writers wait", func() bool { return s.Stats().Waiting == n })
}

func TestQuotaWaitEnds(t *testing.T) {
	t.Run("room", func(t *testing.T) {
		s, held := full(t, hang)
		w := s.Create(t.Context())
		defer w.Abort()
		errs := write(w, 10)
		waiting(t, s, 1)
		held.Release()
		if err := <-errs; err != nil {
			t.Error(err)
		}
	})
	t.Run("timeout", func(t *testing.T) {
		s, held := full(t, 20*time.Millisecond)
		defer held.Release()
		checkIs(t, <-write(s.Create(t.Context()), 10), ErrQuota)
	})
	t.Run("context", func(t *testing.T) {
		s, held := full(t, 10*hang)
		defer held.Release()
		ctx, cancel := context.WithCancelCause(t.Context())
		errs := write(s.Create(ctx), 10)
		waiting(t, s, 1)
		gone := errors.New("client gone")
		cancel(gone)
		err := <-errs
		checkIs(t, err, ErrQuota)
		checkIs(t, err, gone)
	})
	t.Run("reload", func(t *testing.T) {
		s, held := full(t, hang)
		defer held.Release()
		w := s.Create(t.Context())
		defer w.Abort()
		errs := write(w, 10)
		waiting(t, s, 1)
		cfg := s.set.Config
		cfg.Total = 0
		if err := s.Configure(cfg); err != nil {
			t.Fatal(err)
		}
		if err := <-errs; err != nil {
			t.Error(err)
		}
	})
}

// upload returns a new upload of a client to the quota.
func upload(q *quota, k client.Key) *Object {
	o := &Object{}
	q.open(o, k)
	return o
}

// takeLater takes n bytes in the background.
func takeLater(t *testing.T, q *quota, o *Object, n int64) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- q.take(t.Context(), o, n, time.Now().Add(hang)) }()
	return errs
}

func queued(t *testing.T, q *quota, n int) {
	t.Helper()
	eventually(t, "uploads wait", func() bool { _, _, waiting := q.stats(); return waiting == n })
}

// TestQuotaOrder proves that the uploads of one client get their turn in the order in
// which they came, and only as many as there is room for.
func TestQuotaOrder(t *testing.T) {
	const unit = 2 << 20 // none of them is small
	var q quota
	q.configure(Config{Total: 8 * unit})
	full := upload(&q, client.Key{})
	if err := q.take(t.Context(), full, 7*unit+unit/2, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []int
	for i := range 6 {
		o := upload(&q, client.Key{})
		go func() {
			defer q.close(o)
			if err := q.take(t.Context(), o, unit, time.Now().Add(hang)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		}()
		queued(t, &q, i+1)
	}
	q.done(full) // the next may have its turn, but there is no room
	if _, _, n := q.stats(); n != 6 {
		t.Errorf("%d wait without room, want 6", n)
	}
	q.give(full, unit)
	eventually(t, "their turn", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) == 6
	})
	q.close(full)
	if !slices.IsSorted(order) {
		t.Errorf("order %v", order)
	}
	if q.all != (usage{}) || users(&q) != 0 {
		t.Errorf("%+v and %d objects are left", q.all, users(&q))
	}
}

// users is how many objects are counted.
func users(q *quota) int {
	n := 0
	for _, a := range q.accounts {
		n += a.users
	}
	return n
}

// TestQuotaAccounts proves that clients leave no accounts, however many come.
func TestQuotaAccounts(t *testing.T) {
	var q quota
	for i := range uint32(1000) {
		a, b := upload(&q, client.User(i)), upload(&q, client.User(i+1))
		q.close(a)
		q.close(b)
	}
	if n := len(q.accounts); n > idleAccounts {
		t.Errorf("%d accounts are left", n)
	}
}

// TestQuotaRoundRobin proves that clients get their turn one after the other, however
// many uploads of the first one wait.
func TestQuotaRoundRobin(t *testing.T) {
	const unit = 2 << 20
	var q quota
	q.configure(Config{Total: 8 * unit, Share: 75})
	full := upload(&q, client.Key{})
	if err := q.take(t.Context(), full, 7*unit+unit/2, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []client.Key
	for i, k := range []client.Key{client.User(1), client.User(1), client.User(1), client.User(2), client.User(3), client.User(2)} {
		o := upload(&q, k)
		go func() {
			defer q.close(o)
			if err := q.take(t.Context(), o, unit, time.Now().Add(hang)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, k)
		}()
		queued(t, &q, i+1)
	}
	q.done(full)
	q.give(full, unit)
	eventually(t, "their turn", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) == 6
	})
	q.close(full)
	want := []client.Key{client.User(1), client.User(2), client.User(3), client.User(1), client.User(2), client.User(1)}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

// TestQuotaFirstGivesUp proves that one who needs little gets it when the one
// before him, who needs much, has gone.
func TestQuotaFirstGivesUp(t *testing.T) {
	const m = 1 << 20
	var q quota
	q.configure(Config{Total: 64 * m})
	if err := q.take(t.Context(), upload(&q, client.Key{}), 55*m, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	much := make(chan error, 1)
	go func() { much <- q.take(ctx, upload(&q, client.Key{}), 28*m, time.Now().Add(hang)) }()
	queued(t, &q, 1)
	little := takeLater(t, &q, upload(&q, client.Key{}), 2*m)
	queued(t, &q, 2)
	cancel()
	checkIs(t, <-much, context.Canceled)
	if err := <-little; err != nil {
		t.Error("not woken:", err)
	}
	if used, _, _ := q.stats(); used != 57*m {
		t.Errorf("used %d, want 57 MiB", used)
	}
}

// TestQuotaCountsFiles proves that what engines ask for is counted too.
func TestQuotaCountsFiles(t *testing.T) {
	const k = 1 << 10
	s := newSpool(t, Config{Memory: 16 * k, Total: 64 * k})
	o := spooled(t, s, random(10*k))
	steps := []struct {
		name string
		do   func() error
		used int64
	}{
		{"in memory", func() error { return nil }, 16 * k},
		{"descriptor", func() error { _, err := o.File(); return err }, (16 + 12) * k},
		{"descriptor again", func() error { _, err := o.File(); return err }, (16 + 12) * k},
		{"path", func() error { _, err := o.Path(); return err }, (16 + 12 + 12) * k},
		{"path again", func() error { _, err := o.Path(); return err }, (16 + 12 + 12) * k},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(step.name, err)
		}
		if got := s.Stats().Used; got != step.used {
			t.Errorf("%s: used %d, want %d", step.name, got, step.used)
		}
	}
	big := s.Bytes(random(100 * k)) // constant: no quota
	if _, err := big.File(); err != nil {
		t.Error(err)
	}
	if _, err := big.Path(); err != nil {
		t.Error(err)
	}
	if got := s.Stats(); got.Used != 40*k || got.Files != 2 || got.Contents != 2 {
		t.Errorf("%+v", got)
	}
	big.Release()
	o.Release()
}

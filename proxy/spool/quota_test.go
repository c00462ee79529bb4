package spool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
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
		if c, again := w.Finish(); c != nil || !errors.Is(again, ErrQuota) {
			t.Errorf("Finish after the error: %v, %v", c, again)
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
func full(t *testing.T, wait time.Duration) (*Spool, *Content) {
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

// TestQuotaOrder proves that writers get their turn in the order in which they
// came, and only as many as there is room for.
func TestQuotaOrder(t *testing.T) {
	var q quota
	q.setTotal(8)
	var contents []*Content
	holder := &Content{}
	if err := q.take(t.Context(), holder, 8, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []int
	for i := range 6 {
		c := &Content{}
		contents = append(contents, c)
		go func() {
			if err := q.take(t.Context(), c, 1, time.Now().Add(hang)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		}()
		eventually(t, "waits", func() bool { _, _, n := q.stats(); return n == i+1 })
	}
	q.done(holder) // the next may take from the reserve, but there is nothing
	if _, _, n := q.stats(); n != 6 {
		t.Errorf("%d wait without room, want 6", n)
	}
	q.give(2) // 6 used: the first one takes from the reserve, the others must not
	for i := range 6 {
		eventually(t, "its turn", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(order) == i+1
		})
		if used, _, n := q.stats(); used != 7 || n != 5-i {
			t.Errorf("used %d, %d wait; want 7, %d", used, n, 5-i)
		}
		q.done(contents[i])
		q.give(1)
	}
	if !slices.IsSorted(order) {
		t.Errorf("order %v", order)
	}
}

// TestQuotaReserve proves that the last quarter is for one upload at a time, so
// that not all of them are stuck together.
func TestQuotaReserve(t *testing.T) {
	const k = 1 << 10
	s := newSpool(t, Config{Total: 64 * k, Wait: hang})
	var writers [4]*Writer
	for i := range writers {
		writers[i] = s.Create(t.Context())
		if err := <-write(writers[i], 12*k); err != nil {
			t.Fatal(err)
		}
	}
	first := writers[0]
	if err := <-write(first, 4*k); err != nil {
		t.Fatal(err)
	}
	var errs [4]<-chan error
	for i := 1; i < 4; i++ {
		errs[i] = write(writers[i], 4*k)
	}
	eventually(t, "the others write or wait", func() bool {
		return len(errs[1])+len(errs[2])+len(errs[3])+s.Stats().Waiting == 3
	})
	if n := s.Stats().Waiting; n != 3 {
		t.Errorf("%d wait, want 3: the rest is the first one's", n)
	}
	if err := <-write(first, 12*k); err != nil {
		t.Error(err)
	}
	c, err := first.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Stats().Waiting; n != 3 {
		t.Errorf("%d wait, want 3: nothing is left", n)
	}
	c.Release()
	for i := 1; i < 4; i++ {
		if err := <-errs[i]; err != nil {
			t.Error(err)
		}
		writers[i].Abort()
	}
}

// TestQuotaFirstGivesUp proves that one who needs little gets it when the one
// before him, who needs much, has gone.
func TestQuotaFirstGivesUp(t *testing.T) {
	var q quota
	q.setTotal(64)
	if err := q.take(t.Context(), &Content{}, 40, time.Time{}); err != nil {
		t.Fatal(err)
	}
	take := func(ctx context.Context, n int64) <-chan error {
		errs := make(chan error, 1)
		go func() { errs <- q.take(ctx, &Content{}, n, time.Now().Add(hang)) }()
		return errs
	}
	queued := func(n int) func() bool {
		return func() bool { _, _, waiting := q.stats(); return waiting == n }
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	much := take(ctx, 28)
	eventually(t, "the first waits", queued(1))
	little := take(t.Context(), 4)
	eventually(t, "the second waits", queued(2))
	cancel()
	checkIs(t, <-much, context.Canceled)
	if err := <-little; err != nil {
		t.Error("not woken:", err)
	}
	if used, _, _ := q.stats(); used != 44 {
		t.Errorf("used %d, want 44", used)
	}
}

// TestQuotaCountsFiles proves that what engines ask for is counted too.
func TestQuotaCountsFiles(t *testing.T) {
	const k = 1 << 10
	s := newSpool(t, Config{Memory: 16 * k, Total: 64 * k})
	c := spooled(t, s, random(10*k))
	steps := []struct {
		name string
		do   func() error
		used int64
	}{
		{"in memory", func() error { return nil }, 16 * k},
		{"descriptor", func() error { _, err := c.File(); return err }, (16 + 12) * k},
		{"descriptor again", func() error { _, err := c.File(); return err }, (16 + 12) * k},
		{"path", func() error { _, err := c.Path(); return err }, (16 + 12 + 12) * k},
		{"path again", func() error { _, err := c.Path(); return err }, (16 + 12 + 12) * k},
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
	c.Release()
}

package spool

import (
	"context"
	"errors"
	"polyclam/test/testkit"
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
		if o, again := w.Finish(); o != nil || !errors.Is(again, ErrQuota) {
			t.Errorf("Finish after the error: %v, %v", o, again)
		}
		w.Abort()
		held.Release()
		checkEmpty(t, s)
		spooled(t, s, random(90*k)).Release()
	}
}

// TestQuotaTooLarge checks that an object that can never fit does not wait.
func TestQuotaTooLarge(t *testing.T) {
	s := newSpool(t, Config{Total: 100 << 10, Wait: 10 * hang})
	w := s.Create(t.Context())
	_, err := w.Write(random(101 << 10))
	checkIs(t, err, ErrQuota)
	spooled(t, s, random(100<<10)).Release()
}

// full returns a spool of 64 KiB, and an object that uses all of it.
func full(t *testing.T, wait time.Duration) (*Spool, *Object) {
	t.Helper()
	s := newSpool(t, Config{Total: 64 << 10, Wait: wait})
	return s, spooled(t, s, random(64<<10))
}

// write writes n bytes in a goroutine.
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
	testkit.Eventually(t, "writers wait", func() bool { return s.Stats().Waiting == n })
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

// TestQuotaCountsFiles checks that files for engines count.
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
	if got := s.Stats(); got.Used != 40*k || got.Files != 2 || got.Objects != 2 {
		t.Errorf("%+v", got)
	}
	big.Release()
	o.Release()
}

package spool

import (
	"testing"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// TestQuotaTurns checks that unfinished uploads cannot use up the quota together: one of them
// can always finish.
func TestQuotaTurns(t *testing.T) {
	const m = 1 << 20
	s := newSpool(t, Config{Total: 64 * m, Wait: hang})
	var writers [4]*Writer
	for i := range writers { // 44 MiB are for uploads without a turn
		writers[i] = s.Create(t.Context())
		if err := <-write(writers[i], 11*m); err != nil {
			t.Fatal(err)
		}
	}
	first := writers[0]
	if err := <-write(first, m); err != nil {
		t.Fatal(err)
	}
	var errs [4]<-chan error
	for i := 1; i < 4; i++ {
		errs[i] = write(writers[i], 7*m) // more than the first one leaves for all
	}
	testkit.Eventually(t, "the others write or wait", func() bool {
		return len(errs[1])+len(errs[2])+len(errs[3])+s.Stats().Waiting == 3
	})
	if n := s.Stats().Waiting; n != 2 && n != 3 {
		t.Errorf("%d waiting: the rest is for the first one", n)
	}
	if err := <-write(first, 4*m); err != nil {
		t.Error(err)
	}
	o, err := first.Finish()
	if err != nil {
		t.Fatal(err)
	}
	o.Release()
	for i := 1; i < 4; i++ {
		if err := <-errs[i]; err != nil {
			t.Error(err)
		}
		writers[i].Abort()
	}
}

// TestQuotaOfOthers checks that one client's uploads, unfinished or waiting to be scanned, do
// not make another client wait, with small or large uploads.
func TestQuotaOfOthers(t *testing.T) {
	const m = 1 << 20
	for _, uploads := range []struct {
		name     string
		size     int
		complete bool
	}{{"large", 3 * m, false}, {"small", m, false}, {"complete", 3 * m, true}, {"complete and small", m, true}} {
		t.Run(uploads.name, func(t *testing.T) {
			s := newSpool(t, Config{Total: 64 * m, Share: 75, Largest: 4 * m})
			hog := client.NewContext(t.Context(), client.User(1))
			var held []*Writer
			for {
				w := s.Create(hog)
				defer w.Abort()
				if <-write(w, uploads.size) != nil {
					break
				}
				held = append(held, w)
				if !uploads.complete {
					continue
				}
				o, err := w.Finish()
				if err != nil {
					t.Fatal(err)
				}
				defer o.Release()
			}
			if len(held) == 0 || s.Stats().Used < 32*m {
				t.Errorf("the first client has %d uploads and %d bytes, want most of the quota", len(held), s.Stats().Used)
			}
			other := client.NewContext(t.Context(), client.User(2))
			for _, size := range []int{1, 10 << 10, m, 4 * m} {
				w := s.Create(other)
				if err := <-write(w, size); err != nil {
					t.Errorf("%d bytes of another client: %v", size, err)
				}
				w.Abort()
			}
		})
	}
}

// TestQuotaSmall checks that a small upload does not wait for large ones, not even those of
// the same client.
func TestQuotaSmall(t *testing.T) {
	const m = 1 << 20
	s := newSpool(t, Config{Total: 64 * m, Share: 75})
	ctx := client.NewContext(t.Context(), client.User(1))
	for _, size := range []int{5 * m, m + 1} {
		for {
			w := s.Create(ctx)
			defer w.Abort()
			if <-write(w, size) != nil {
				break
			}
		}
	}
	for _, size := range []int{1, 10 << 10, m} {
		w := s.Create(ctx)
		if err := <-write(w, size); err != nil {
			t.Errorf("%d bytes: %v", size, err)
		}
		w.Abort()
	}
	w := s.Create(ctx) // an upload that grows
	defer w.Abort()
	if err := <-write(w, m); err != nil {
		t.Fatal(err)
	}
	checkIs(t, <-write(w, m), ErrQuota)
}

package spool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"polyclam/test/testkit"
	"testing"
)

// TestDigest hashes objects that arrive in pieces, while they arrive or afterwards.
func TestDigest(t *testing.T) {
	for _, store := range stores {
		for _, hash := range []bool{true, false} {
			s := newSpool(t, Config{Memory: 64 << 10, Store: store, Hash: hash})
			for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 3<<20 + 17} {
				want := random(size)
				w := s.Create(t.Context())
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 100_000)
					if _, err := w.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				o, err := w.Finish()
				if err != nil {
					t.Fatal(err)
				}
				sum := sha256.Sum256(want)
				for range 2 {
					if got, err := o.SHA256(t.Context()); got != hex.EncodeToString(sum[:]) || err != nil {
						t.Errorf("%s, hash %v, %d bytes: %s, %v", store, hash, size, got, err)
					}
				}
				o.Release()
			}
		}
	}
}

// TestDigestAborted aborts streams while they are being hashed.
func TestDigestAborted(t *testing.T) {
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 64 << 10, Store: store, Hash: true})
		for range 20 {
			w := s.Create(t.Context())
			if _, err := w.Write(random(1 << 20)); err != nil {
				t.Fatal(err)
			}
			w.Abort()
		}
		for range 20 {
			o := spooled(t, s, random(1<<20))
			o.Release()
		}
	}
	testkit.Eventually(t, "all hashing has ended", func() bool { return len(hashers) == 0 })
}

// TestDigestCanceled cancels hashing, and completes it with another context.
func TestDigestCanceled(t *testing.T) {
	s := newSpool(t, Config{})
	o := spooled(t, s, random(1<<20))
	defer o.Release()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("stopping")
	cancel(why)
	if _, err := o.SHA256(ctx); err != why {
		t.Errorf("got %v", err)
	}
	if sum, err := o.SHA256(t.Context()); len(sum) != 64 || err != nil {
		t.Errorf("got %q, %v", sum, err)
	}
}

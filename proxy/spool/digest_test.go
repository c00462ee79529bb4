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
	for i, cfg := range []Config{
		{Memory: 64 << 10, Hash: true}, {Memory: 64 << 10}, {Memory: 64 << 10, Store: Tmpfile, Hash: true},
		{Memory: 64 << 10, Store: Tmpfile}, {Memory: 4 << 20, Hash: true}, {Memory: 2 << 20, Hash: true}, {Memory: 4 << 20},
	} {
		for _, busy := range []bool{false, true} { // all other cores
			s := newSpool(t, cfg)
			if busy {
				for range cap(hashers) {
					hashers <- struct{}{}
				}
			}
			for _, size := range []int{0, 1, 64 << 10, 64<<10 + 1, 3<<20 + 17} {
				want := random(size)
				w := s.Create(t.Context())
				expected := cfg.Hash
				if i%2 == 1 {
					w.ExpectSum()
					expected = true
				}
				for rest := want; len(rest) > 0; {
					n := min(len(rest), 100_000)
					if len(rest) == size {
						n = min(n, 10_000) // stays in memory at first
					}
					if _, err := w.Write(rest[:n]); err != nil {
						t.Fatal(err)
					}
					rest = rest[n:]
				}
				o, err := w.Finish()
				if err != nil {
					t.Fatal(err)
				}
				if expected && busy && size > overlapFrom && o.digest.done != int64(size) {
					t.Errorf("%d: %d of %d bytes were hashed on arrival", i, o.digest.done, size)
				}
				sum := sha256.Sum256(want)
				for range 2 {
					if got, err := o.SHA256(t.Context()); got != hex.EncodeToString(sum[:]) || err != nil {
						t.Errorf("%d, busy %v, %d bytes: %s, %v", i, busy, size, got, err)
					}
				}
				if got, ok := o.Known(); got != sum || !ok {
					t.Errorf("%d, busy %v, %d bytes: known %x, %v", i, busy, size, got, ok)
				}
				o.Release()
			}
			for busy && len(hashers) > 0 {
				<-hashers
			}
		}
	}
}

// TestDigestAlloc checks that the sum of a small object costs no allocation.
func TestDigestAlloc(t *testing.T) {
	s := newSpool(t, Config{Memory: 64 << 10})
	o := spooled(t, s, random(10<<10))
	defer o.Release()
	if _, err := o.Sum(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := testing.AllocsPerRun(100, func() {
		o.digest.known.Store(false)
		o.digest.done = 0
		if _, err := o.Sum(context.Background()); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestDigestAborted aborts streams while they are being hashed.
func TestDigestAborted(t *testing.T) {
	for _, cfg := range []Config{{Memory: 64 << 10}, {Memory: 64 << 10, Store: Tmpfile}, {Memory: 4 << 20}, {Memory: 700 << 10}} {
		cfg.Hash = true
		s := newSpool(t, cfg)
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

// TestDigestInTurn has the other cores become busy and free while a stream arrives.
func TestDigestInTurn(t *testing.T) {
	for _, cfg := range []Config{{Memory: 64 << 10}, {Memory: 64 << 10, Store: Tmpfile}, {Memory: 4 << 20}, {Memory: 700 << 10}} {
		cfg.Hash = true
		s := newSpool(t, cfg)
		for round := range 4 {
			want := random(2<<20 + round)
			w := s.Create(t.Context())
			for i, rest := 0, want; len(rest) > 0; i++ {
				testkit.Eventually(t, "nothing is being hashed", func() bool { return len(hashers) == 0 })
				busy := i>>round%2 == 0
				for busy && len(hashers) < cap(hashers) {
					hashers <- struct{}{}
				}
				n := min(len(rest), 50_000)
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				for busy && len(hashers) > 0 {
					<-hashers
				}
			}
			o, err := w.Finish()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := o.Sum(t.Context()); got != sha256.Sum256(want) || err != nil {
				t.Errorf("%+v, round %d: %x, %v", cfg, round, got, err)
			}
			o.Release()
		}
	}
}

package spool

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// TestObject sends objects of all sizes around the limits in pieces of several sizes, and reads
// them back in every way.
func TestObject(t *testing.T) {
	const k = 1 << 10
	sizes := []int{0, 1, 4*k - 1, 4 * k, 4*k + 1, 10 * k, 64 * k, 100*k - 1, 100 * k, 100*k + 1, 700 * k, 2*k*k + 1}
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 100 * k, Store: store, Total: 64 * k * k})
		all := newSpool(t, Config{Memory: 0, Store: store})
		none := newSpool(t, Config{Memory: 8 * k * k, Store: store})
		for _, size := range sizes {
			for _, step := range []int{1000, 4096, 50*k + 1, 4 * k * k} {
				t.Run(fmt.Sprint(store, size, step), func(t *testing.T) {
					testObject(t, s, size, step)
					testObject(t, all, size, step)
					testObject(t, none, size, step)
				})
			}
		}
	}
}

func testObject(t *testing.T, s *Spool, size, step int) {
	want := random(size)
	w := s.Create(t.Context())
	buf := make([]byte, step)
	for sent := 0; sent < size; {
		n := copy(buf, want[sent:])
		if got, err := w.Write(buf[:n]); got != n || err != nil {
			t.Fatalf("Write: %d, %v", got, err)
		}
		clear(buf) // the writer must have a copy
		sent += n
		if w.Size() != int64(sent) {
			t.Fatalf("Size is %d after %d bytes", w.Size(), sent)
		}
	}
	o, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	defer checkEmpty(t, s)
	defer o.Release()
	if o.Size() != int64(size) {
		t.Errorf("size %d, want %d", o.Size(), size)
	}
	checkBytes(t, o, want)
	sum := sha256.Sum256(want)
	if got, err := o.SHA256(t.Context()); got != hex.EncodeToString(sum[:]) || err != nil {
		t.Errorf("SHA256 %q, %v", got, err)
	}
	f, err := o.File()
	if err != nil {
		t.Fatal(err)
	}
	checkBytes(t, f, want)
	path, err := o.Path()
	if err != nil {
		t.Fatal(err)
	}
	named, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer named.Close()
	checkBytes(t, named, want)
	checkBytes(t, o, want)
}

// TestMemoryIsSmall checks that the memory held depends on what a client has sent, not on what
// it might send.
func TestMemoryIsSmall(t *testing.T) {
	const k = 1 << 10
	s := newSpool(t, Config{Memory: 256 * k})
	for _, tt := range []struct {
		name   string
		writes []int
		used   int64
	}{
		{"nothing", nil, 0},
		{"one byte", []int{1}, 1 * k},
		{"byte by byte", []int{1, 1, 1, 1}, 1 * k},
		{"a page", []int{4 * k}, 4 * k},
		{"a mail in one piece", []int{10 * k}, 16 * k},
		{"growing", []int{1, 4 * k}, (1 + 4) * k},
		{"all of it", []int{256 * k}, 256 * k},
		{"one byte more", []int{256*k + 1}, 260 * k},
		{"one byte more, later", []int{1, 256 * k}, 260 * k},
		{"into the file and on", []int{256 * k, 1, 4095, 1}, 264 * k},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := s.Create(t.Context())
			defer checkEmpty(t, s)
			defer w.Abort()
			for _, n := range tt.writes {
				if _, err := w.Write(random(n)); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.Stats(); got.Used != tt.used || got.Writers != 1 {
				t.Errorf("used %d by %d writers, want %d", got.Used, got.Writers, tt.used)
			}
		})
	}
}

// TestPoolIsBounded checks that few free segments are kept after a burst.
func TestPoolIsBounded(t *testing.T) {
	s := newSpool(t, Config{Memory: 256 << 10})
	var objects []*Object
	for range 40 {
		objects = append(objects, spooled(t, s, random(256<<10)))
	}
	for _, o := range objects {
		o.Release()
	}
	if got, want := s.Stats().Pooled, int64(16*256<<10); got != want {
		t.Errorf("%d bytes kept, want %d", got, want)
	}
}

// TestWriterEnds ends writers in all orders.
func TestWriterEnds(t *testing.T) {
	s := newSpool(t, Config{Memory: 4 << 10})
	for _, size := range []int{10, 10 << 10} {
		w := s.Create(t.Context())
		w.Write(random(size))
		w.Abort()
		w.Abort()
		checkEmpty(t, s)
		if n, err := w.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("Write after Abort: %d, %v", n, err)
		}
		if o, err := w.Finish(); o != nil || err == nil {
			t.Errorf("Finish after Abort: %v, %v", o, err)
		}

		w = s.Create(t.Context())
		w.Write(random(size))
		o, err := w.Finish()
		if err != nil {
			t.Fatal(err)
		}
		w.Abort()
		if n, err := w.Write([]byte("x")); n != 0 || err == nil {
			t.Errorf("Write after Finish: %d, %v", n, err)
		}
		if o, err := w.Finish(); o != nil || err == nil {
			t.Errorf("Finish after Finish: %v, %v", o, err)
		}
		checkBytes(t, o, random(size))
		o.Release()
		checkEmpty(t, s)
	}
}

func TestWriterContextDone(t *testing.T) {
	s := newSpool(t, Config{Memory: 4 << 10})
	ctx, cancel := context.WithCancelCause(t.Context())
	w := s.Create(ctx)
	if _, err := w.Write(random(100 << 10)); err != nil {
		t.Fatal(err)
	}
	gone := errors.New("client gone")
	cancel(gone)
	_, err := w.Write([]byte("x"))
	checkIs(t, err, gone)
	if errors.Is(err, ErrQuota) {
		t.Errorf("%v blames the quota", err)
	}
	checkEmpty(t, s)
	o, err := w.Finish()
	checkIs(t, err, gone)
	if o != nil {
		t.Error("Finish returned an object")
	}
}

// TestInMemory has a bound on the memory of all objects: the first ones stay in memory, the next
// ones go to the store however short they are.
func TestInMemory(t *testing.T) {
	for _, store := range stores {
		s := newSpool(t, Config{Memory: 8 << 10, InMemory: 20 << 10, Store: store})
		var all []*Object
		for range 10 {
			all = append(all, spooled(t, s, random(4<<10)))
		}
		inMemory := 0
		for _, o := range all {
			if o.own == nil {
				inMemory++
			}
			checkBytes(t, o, random(4<<10))
		}
		if used := s.inMemory.Load(); used > 20<<10 || inMemory == 0 || inMemory == len(all) {
			t.Errorf("%s: %d of %d objects in memory, with %d bytes", store, inMemory, len(all), used)
		}
		for _, o := range all {
			o.Release()
		}
		if used := s.inMemory.Load(); used != 0 {
			t.Errorf("%s: %d bytes in memory without objects", store, used)
		}
		o := spooled(t, s, random(4<<10))
		if o.own != nil {
			t.Errorf("%s: freed memory is not reused", store)
		}
		o.Release()
	}
}

// TestHungStore has as many writes under way as allowed. One more fails after a while, and so
// does Finish. When the store recovers, everything works.
func TestHungStore(t *testing.T) {
	s := newSpool(t, Config{Memory: 0, Store: Tmpfile, Wait: time.Millisecond})
	late := s.Create(t.Context())
	if _, err := late.Write(random(10)); err != nil {
		t.Fatal(err)
	}
	for range StoreThreads {
		s.stores <- struct{}{}
	}
	w := s.Create(t.Context())
	_, err := w.Write(random(10))
	checkIs(t, err, ErrStorage)
	_, err = late.Finish()
	checkIs(t, err, ErrStorage)

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.acquireStore(ctx, time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context canceled", err)
	}
	for range StoreThreads {
		s.releaseStore()
	}
	spooled(t, s, random(10)).Release()
}

package inspect

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func guarded(t *testing.T, ctx context.Context, slots int) (*walk, *guard) {
	t.Helper()
	c := open(t, nil).config
	w := newWalk(&c, new(scratch))
	w.slots = newSlots(slots)
	g, err := w.guard(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w, g
}

// TestGuardLeaves has a library that does not come back when the context ends.
func TestGuardLeaves(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	w, g := guarded(t, ctx, 1)
	s := w.section(ctx, bytes.NewReader(make([]byte, 100)), 100)
	hold, entered, read := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	r := g.readerAt(s)
	go func() {
		<-entered
		cancel(errEnough)
	}()
	err := g.call(func() error {
		close(entered)
		<-hold
		_, err := r.ReadAt(make([]byte, 10), 0)
		read <- err
		return nil
	})
	if !errors.Is(err, errLeft) || !errors.Is(w.stop, errEnough) {
		t.Fatalf("%v, stopped by %v", err, w.stop)
	}
	if err := g.call(func() error { panic("called again") }); !errors.Is(err, errLeft) {
		t.Errorf("%v", err)
	}
	g.close()
	if len(w.slots.taken) != 1 {
		t.Error("the slot is free while the library runs")
	}
	// Nobody waits for what may never come.
	other := newWalk(w.config, new(scratch))
	other.slots = w.slots
	if _, err := other.guard(t.Context()); !errors.Is(err, errLeft) || other.stop != nil || other.noted == nil {
		t.Errorf("%v, stopped by %v, noted %v", err, other.stop, other.noted)
	}
	close(hold)
	if err := <-read; !errors.Is(err, errLeft) {
		t.Errorf("the library that was left reads: %v", err)
	}
	select {
	case w.slots.taken <- struct{}{}:
	case <-time.After(20 * time.Second):
		t.Error("the slot does not come back")
	}
}

// TestGuardWaits lets nobody wait for a slot longer than its context.
func TestGuardWaits(t *testing.T) {
	w, g := guarded(t, t.Context(), 1)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEnough)
	second := newWalk(w.config, new(scratch))
	second.slots = w.slots
	if _, err := second.guard(ctx); !errors.Is(err, errEnough) || !errors.Is(second.stop, errEnough) {
		t.Errorf("%v, stopped by %v", err, second.stop)
	}
	g.close()
	third := newWalk(w.config, new(scratch))
	third.slots = w.slots
	if _, err := third.guard(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestGuardNested wants one slot for archives within archives, and all free
// again.
func TestGuardNested(t *testing.T) {
	data := makeZip(t, locked("x"))
	for range 3 {
		data = makeRAR5(rarFile{name: "w", data: makeSeven(sevenStored("a", text("a").data), sevenStored("w", data)), packed: true})
	}
	b := open(t, nil)
	b.slots = newSlots(1)
	for range 3 {
		wantFinding(t, scan(t, b, data), backends.Encrypted, encryptedZip)
		if len(b.slots.taken) != 0 {
			t.Fatal("the slot is still taken")
		}
	}
}

// oddReader does what a broken library may do.
type oddReader struct{ how string }

func (o oddReader) Read(p []byte) (int, error) {
	switch o.how {
	case "panics":
		panic(o.how)
	case "negative":
		return -1, nil
	case "too many":
		return len(p) + 1, nil
	case "nothing":
		return 0, nil
	}
	return copy(p, "bytes"), io.EOF
}

func TestGuardedReader(t *testing.T) {
	_, g := guarded(t, t.Context(), 1)
	for how, want := range map[string]string{"panics": "", "negative": "", "too many": "", "nothing": "", "reads": "bytes"} {
		got, err := io.ReadAll(g.reader(oddReader{how}))
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
}

// TestSlotsTaken scans archives whose unpackers are all busy: they wait as long
// as they may, and then that is told.
func TestSlotsTaken(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxTime = 50 * time.Millisecond })
	for range cap(b.slots.taken) {
		b.slots.taken <- struct{}{}
	}
	archive := makeRAR5(rarFile{name: "w", data: makeZip(t, locked("x")), packed: true})
	wantFinding(t, scan(t, b, archive), backends.Partial, exceeded+"MaxTime")
	wantFinding(t, scan(t, b, makeRAR5(rarFile{name: "w", data: make([]byte, 50), encrypted: true})), backends.Encrypted, findingRAR)
	for range cap(b.slots.taken) {
		<-b.slots.taken
	}
}

// TestLongFilters has a chain of filters over one block, which rardecode runs
// without a read: half a second of them here, minutes if somebody means it.
func TestLongFilters(t *testing.T) {
	archive := makeRAR5(rarFile{name: "w", data: make([]byte, 1<<20-1), packed: true, filters: 500, dictBits: 3})
	b := open(t, nil)
	begin := time.Now()
	r := scan(t, b, archive)
	t.Logf("table: time: rar with 500 filters: %v after %v", r.Category, time.Since(begin))
	wantFinding(t, r, backends.Partial, unscannedMethod)
	wantFinding(t, scan(t, b, makeRAR5(rarFile{name: "w", data: make([]byte, 1<<20-1), packed: true, filters: 3, dictBits: 3})), backends.OK, "")
}

// TestHostile scans what costs much more than it says, and then what is not
// hostile: nothing of the first may be left.
func TestHostile(t *testing.T) {
	const scans = 50
	b := open(t, nil)
	var delta []byte
	for range 4096 {
		delta = append(delta, 1)
	}
	chain := []byte{2, 0x21, 3, 1, 255, 1, 0, 0, 1}
	hostile := map[string][]byte{
		"7z Delta 256":      makeSeven(sevenMember{name: "x", packed: delta, size: len(delta), chain: chain, coders: 2}),
		"rar PPMd":          makeRAR4(0, rarFile{name: "x", data: make([]byte, 9000), raw: packPPMd29()}),
		"rar PPMd, later":   makeRAR4(0, rarFile{name: "x", data: make([]byte, 9000), raw: packLaterPPMd29([]byte("text"))}),
		"rar PPMd, solid":   makeRAR4(8, rarFile{name: "p", data: text("p").data, packed: true}, rarFile{name: "x", data: make([]byte, 9000), raw: packPPMd29(), solid: true}),
		"rar filters":       makeRAR5(rarFile{name: "w", data: make([]byte, 1<<20-1), packed: true, filters: 500, dictBits: 3}),
		"rar 64 GiB":        makeRAR5(rarFile{name: "w", data: text("w").data, packed: true, dictBits: 19, unpacked: 1 << 62}),
		"rar large, solid":  makeRAR5(rarFile{name: "a", data: text("w").data, packed: true, solid: true, unpacked: 20}, rarFile{name: "w", data: text("w").data, packed: true, solid: true}),
		"rar odd solid bit": makeRAR4(0, rarFile{name: "p", data: text("p").data, packed: true}, rarFile{name: "x", data: text("p").data, packed: true, solid: true}),
	}
	encrypted := [][]byte{
		makeRAR5(rarFile{name: "z.zip", data: makeZip(t, locked("x")), packed: true}),
		makeSeven(sevenStored("z.zip", makeZip(t, locked("x")))),
	}
	before := runtime.NumGoroutine()
	for name, data := range hostile {
		most := uint64(0)
		for range scans {
			r, allocated := allocated(t, b, data)
			if most = max(most, allocated); r.Category != backends.Partial && name != "7z Delta 256" {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		t.Logf("table: memory: %-20s %9d bytes allocated at most", name, most)
		if most > 2<<20 {
			t.Errorf("%s: %d bytes allocated", name, most)
		}
	}
	for _, data := range encrypted {
		wantFinding(t, scan(t, b, data), backends.Encrypted, encryptedZip)
	}
	if n := len(b.slots.taken); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}

// TestRARMemory wants dictionaries to be paid for.
func TestRARMemory(t *testing.T) {
	for _, c := range []struct {
		name string
		file rarFile
		most uint64
		want backends.Category
	}{
		{"4 GiB dictionary, 4 GiB file", rarFile{dictBits: 15, unpacked: 1 << 32}, 1 << 20, backends.Partial},
		{"4 GiB dictionary, small file", rarFile{dictBits: 15}, 2 << 20, backends.OK},
		{"4 GiB dictionary, solid", rarFile{dictBits: 15, solid: true}, 1 << 20, backends.Partial},
		{"64 GiB dictionary, 2^62 bytes", rarFile{dictBits: 19, unpacked: 1 << 62}, 1 << 20, backends.Partial},
		{"32 MiB dictionary, 32 MiB file", rarFile{dictBits: 8, unpacked: 32 << 20}, 40 << 20, backends.OK},
	} {
		f := c.file
		f.name, f.data, f.packed = "w", text("w").data, true
		r, bytes := allocated(t, open(t, nil), makeRAR5(f))
		t.Logf("table: memory: rar %-32s %9d bytes allocated, %v", c.name, bytes, r.Category)
		if bytes > c.most || r.Category != c.want {
			t.Errorf("%s: %d bytes allocated, %+v", c.name, bytes, r)
		}
	}
}

// TestContextEndsWhileUnpacking ends the context at each read.
func TestContextEndsWhileUnpacking(t *testing.T) {
	zip := makeZip(t, locked("x"))
	for name, data := range map[string][]byte{
		"rar": makeRAR5(rarFile{name: "w", data: zip, packed: true}),
		"7z":  sampleFiles(t)["7z/nested-LZMA2.7z"],
	} {
		b := open(t, nil)
		whole := &stop{Content: backendtest.Bytes(t, data), n: -1}
		if _, err := b.Scan(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= whole.reads; n++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := &stop{Content: backendtest.Bytes(t, data), n: n, cancel: cancel}
			r, err := b.Scan(ctx, c)
			// What was seen before the end may be told.
			if !errors.Is(err, errEnough) && r.Category != backends.Encrypted {
				t.Errorf("%s, read %d of %d: %+v, %v", name, n, whole.reads, r, err)
			}
		}
		// All slots are free again.
		for range cap(b.slots.taken) {
			select {
			case b.slots.taken <- struct{}{}:
			case <-time.After(20 * time.Second):
				t.Fatal("a slot does not come back")
			}
		}
	}
}

package inspect

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// TestGuardNested checks that nested archives share one slot, and that it is released.
func TestGuardNested(t *testing.T) {
	data := build.Zip(t, build.Locked("x"))
	for range 3 {
		data = build.RAR5(build.RARFile{Name: "w", Data: build.Seven(build.SevenStored("a", build.Text("a").Data), build.SevenStored("w", data)), Packed: true})
	}
	b := open(t, nil)
	b.slots = walk.NewSlots(1)
	for range 3 {
		wantFinding(t, scan(t, b, data), backends.Encrypted, encryptedZip)
		if b.slots.InUse() != 0 {
			t.Fatal("the slot is still taken")
		}
	}
}

// TestSlotsTaken scans archives while all unpackers are busy: the scans wait as long as
// they may, and then the result is partial.
func TestSlotsTaken(t *testing.T) {
	b := open(t, func(c *Config) { c.MaxTime = 50 * time.Millisecond })
	release := takeSlots(t, b)
	archive := build.RAR5(build.RARFile{Name: "w", Data: build.Zip(t, build.Locked("x")), Packed: true})
	wantFinding(t, scan(t, b, archive), backends.Partial, exceeded+"MaxTime")
	wantFinding(t, scan(t, b, build.RAR5(build.RARFile{Name: "w", Data: make([]byte, 50), Encrypted: true})), backends.Encrypted, walk.FindingRAR)
	release()
}

// TestLongFilters scans a chain of filters over one block, which rardecode runs without
// reading: for half a second here, for minutes in an attack.
func TestLongFilters(t *testing.T) {
	archive := build.RAR5(build.RARFile{Name: "w", Data: make([]byte, 1<<18-1), Packed: true, Filters: 500, DictBits: 3})
	b := open(t, nil)
	begin := time.Now()
	r := scan(t, b, archive)
	t.Logf("table: time: rar with 500 filters: %v after %v", r.Category, time.Since(begin))
	wantFinding(t, r, backends.Partial, walk.UnscannedMethod)
	wantFinding(t, scan(t, b, build.RAR5(build.RARFile{Name: "w", Data: make([]byte, 1<<18-1), Packed: true, Filters: 3, DictBits: 3})), backends.OK, "")
}

// TestHostile scans archives that cost much more than they suggest, then harmless ones:
// nothing of the former may remain.
func TestHostile(t *testing.T) {
	const scans = 50
	b := open(t, nil)
	var delta []byte
	for range 4096 {
		delta = append(delta, 1)
	}
	chain := []byte{2, 0x21, 3, 1, 255, 1, 0, 0, 1}
	hostile := map[string][]byte{
		"7z Delta 256":      build.Seven(build.SevenMember{Name: "x", Packed: delta, Size: len(delta), Chain: chain, Coders: 2}),
		"rar PPMd":          build.RAR4(0, build.RARFile{Name: "x", Data: make([]byte, 9000), Raw: build.PackPPMd29()}),
		"rar PPMd, later":   build.RAR4(0, build.RARFile{Name: "x", Data: make([]byte, 9000), Raw: build.PackLaterPPMd29([]byte("text"))}),
		"rar PPMd, solid":   build.RAR4(8, build.RARFile{Name: "p", Data: build.Text("p").Data, Packed: true}, build.RARFile{Name: "x", Data: make([]byte, 9000), Raw: build.PackPPMd29(), Solid: true}),
		"rar filters":       build.RAR5(build.RARFile{Name: "w", Data: make([]byte, 1<<18-1), Packed: true, Filters: 500, DictBits: 3}),
		"rar 64 GiB":        build.RAR5(build.RARFile{Name: "w", Data: build.Text("w").Data, Packed: true, DictBits: 19, Unpacked: 1 << 62}),
		"rar large, solid":  build.RAR5(build.RARFile{Name: "a", Data: build.Text("w").Data, Packed: true, Solid: true, Unpacked: 20}, build.RARFile{Name: "w", Data: build.Text("w").Data, Packed: true, Solid: true}),
		"rar odd solid bit": build.RAR4(0, build.RARFile{Name: "p", Data: build.Text("p").Data, Packed: true}, build.RARFile{Name: "x", Data: build.Text("p").Data, Packed: true, Solid: true}),
	}
	encrypted := [][]byte{
		build.RAR5(build.RARFile{Name: "z.zip", Data: build.Zip(t, build.Locked("x")), Packed: true}),
		build.Seven(build.SevenStored("z.zip", build.Zip(t, build.Locked("x")))),
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
	if n := b.slots.InUse(); n != 0 {
		t.Errorf("%d slots are taken", n)
	}
	wantGoroutines(t, before)
}

// TestRARMemory checks that dictionaries are paid for.
func TestRARMemory(t *testing.T) {
	for _, c := range []struct {
		name string
		file build.RARFile
		most uint64
		want backends.Category
	}{
		{"4 GiB dictionary, 4 GiB file", build.RARFile{DictBits: 15, Unpacked: 1 << 32}, 1 << 20, backends.Partial},
		{"4 GiB dictionary, small file", build.RARFile{DictBits: 15}, 2 << 20, backends.OK},
		{"4 GiB dictionary, solid", build.RARFile{DictBits: 15, Solid: true}, 1 << 20, backends.Partial},
		{"64 GiB dictionary, 2^62 bytes", build.RARFile{DictBits: 19, Unpacked: 1 << 62}, 1 << 20, backends.Partial},
		{"32 MiB dictionary, 32 MiB file", build.RARFile{DictBits: 8, Unpacked: 32 << 20}, 40 << 20, backends.OK},
	} {
		f := c.file
		f.Name, f.Data, f.Packed = "w", build.Text("w").Data, true
		r, bytes := allocated(t, open(t, nil), build.RAR5(f))
		t.Logf("table: memory: rar %-32s %9d bytes allocated, %v", c.name, bytes, r.Category)
		if bytes > c.most || r.Category != c.want {
			t.Errorf("%s: %d bytes allocated, %+v", c.name, bytes, r)
		}
	}
}

// TestContextEndsWhileUnpacking ends the context at each read in turn.
func TestContextEndsWhileUnpacking(t *testing.T) {
	zip := build.Zip(t, build.Locked("x"))
	for name, data := range map[string][]byte{
		"rar": build.RAR5(build.RARFile{Name: "w", Data: zip, Packed: true}),
		"7z":  sampleFiles(t)["7z/nested-LZMA2.7z"],
	} {
		b := open(t, nil)
		whole := &stop{Object: backendtest.Bytes(t, data), n: -1}
		if _, err := b.Scan(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= whole.reads; n++ {
			ctx, cancel := context.WithCancelCause(t.Context())
			c := &stop{Object: backendtest.Bytes(t, data), n: n, cancel: cancel}
			r, err := b.Scan(ctx, c)
			// Findings made before the end may be reported.
			if !errors.Is(err, errEnough) && r.Category != backends.Encrypted {
				t.Errorf("%s, read %d of %d: %+v, %v", name, n, whole.reads, r, err)
			}
		}
		takeSlots(t, b)() // all must be free again
	}
}

// wantGoroutines waits until at most this many goroutines remain: a guard's goroutine ends
// only after it has delivered its result.
func wantGoroutines(t *testing.T, most int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); runtime.NumGoroutine() > most; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, want %d at most", runtime.NumGoroutine(), most)
		}
	}
}

// takeSlots takes all slots and returns a function that releases them. It fails if a slot
// does not become free.
func takeSlots(t *testing.T, b *Backend) (release func()) {
	t.Helper()
	var guards []*walk.Guard
	for deadline := time.Now().Add(20 * time.Second); len(guards) < runtime.GOMAXPROCS(0); {
		g, err := walk.New(b.config.limits(), nil, b.slots, new(walk.Scratch)).Guard(t.Context())
		if err == nil {
			guards = append(guards, g)
		} else if time.Now().After(deadline) {
			t.Fatal("a slot is never released")
		}
	}
	return func() {
		for _, g := range guards {
			g.Close()
		}
	}
}

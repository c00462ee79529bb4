package inspect

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// allocated scans data and returns how many bytes that allocated.
func allocated(t *testing.T, b *Backend, data []byte) (backends.Result, uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := scan(t, b, data)
	runtime.ReadMemStats(&after)
	return r, after.TotalAlloc - before.TotalAlloc
}

// TestSevenBombs checks that no number in a header makes us, or a library, allocate
// accordingly.
func TestSevenBombs(t *testing.T) {
	huge := build.SevenNumber(1<<32 - 2)
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	lzma := func(dictionary uint32) []byte {
		return append([]byte{0x23, 3, 1, 1, 5, 0x5d}, binary.LittleEndian.AppendUint32(nil, dictionary)...)
	}
	ppmd := append([]byte{0x23, 3, 4, 1, 5, 6}, binary.LittleEndian.AppendUint32(nil, 1<<31)...)
	one := build.SevenStored("a", make([]byte, 100))
	with := func(coder []byte, size int) []byte { m := one; m.Coder = coder; m.Size = size; return build.Seven(m) }
	const limit = exceeded + "MaxBytes"
	for _, c := range []struct {
		name string
		data []byte
		want string // a finding's name
	}{
		{"pack streams", build.SevenArchiveOf(nil, cat([]byte{1, 4, 6, 0}, huge, []byte{9, 0, 0})), walk.UnscannedBroken},
		{"folders", build.SevenArchiveOf(nil, cat([]byte{1, 4, 7, 11}, huge, []byte{0, 1})), walk.UnscannedBroken},
		{"coders", build.SevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0}, huge)), walk.UnscannedBroken},
		{"flows", build.SevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0, 1, 0x11, 0}, huge, huge, []byte{12, 0, 0, 0})), walk.UnscannedBroken},
		{"properties", build.SevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0, 1, 0x21, 0}, huge)), walk.UnscannedBroken},
		{"members of a folder", build.SevenArchiveOf(nil, cat([]byte{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 8, 13}, huge, []byte{0, 0, 5, 1, 0, 0})), walk.UnscannedBroken},
		{"sums", build.SevenArchiveOf(nil, cat([]byte{1, 4, 6, 0, 1, 9, 1, 10, 0}, make([]byte, 100))), ""},
		{"files", build.SevenArchiveOf([]byte("x"), cat([]byte{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 0, 5}, huge, []byte{14, 1, 0, 0, 0})), ""},
		{"header's size", func() []byte {
			b := build.SevenArchiveOf(nil, []byte{1, 0})
			binary.LittleEndian.PutUint64(b[20:], 1<<62)
			return b
		}(), ""},
		{"LZMA of 4 GiB", with(lzma(1<<32-1), 1<<32), limit},
		{"LZMA2 of 4 GiB", with([]byte{0x21, 0x21, 1, 40}, 1<<32), limit},
		{"PPMD of 2 GiB", with(ppmd, 1<<20), limit},
		// A dictionary is never larger than the output.
		{"LZMA of 4 GiB, small", with(lzma(1<<32-1), 1<<19), walk.UnscannedBroken},
		{"LZMA2 of 4 GiB, small", with([]byte{0x21, 0x21, 1, 40}, 1<<19), walk.UnscannedBroken},
		{"unknown method", with([]byte{0x03, 3, 3, 9}, 100), walk.UnscannedMethod},
		{"coder bound to itself", build.Seven(build.SevenMember{Packed: []byte("x"), Size: 100, Chain: []byte{2, 1, 0, 1, 0, 0, 0}, Coders: 2}), walk.UnscannedBroken},
		{"unpacked to 1 TiB", func() []byte { m := one; m.Coder = []byte{0x21, 0x21, 1, 10}; m.Size = 1 << 40; return build.Seven(m) }(), limit},
		{"empty header", build.SevenArchiveOf(nil, nil), ""},
		{"header packed to itself", build.SevenArchiveOf([]byte("x"), []byte{0x17, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 0}), walk.UnscannedBroken},
		{"packed header of 1 GiB", build.SevenArchiveOf([]byte("x"), cat([]byte{0x17, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12}, build.SevenNumber(1<<30), []byte{0, 0})), limit},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, bytes := allocated(t, open(t, nil), c.data)
			name := ""
			if len(r.Findings) > 0 {
				name = r.Findings[0].Name
			}
			if name != c.want {
				t.Errorf("%+v, want %q", r, c.want)
			}
			t.Logf("table: memory: 7z %-24s %8d bytes allocated", c.name, bytes)
			if bytes > 1<<20 {
				t.Errorf("%d bytes allocated", bytes)
			}
		})
	}
}

// TestSevenManyFolders scans an archive with as many folders as fit in a large header.
func TestSevenManyFolders(t *testing.T) {
	const n = 190_000
	h := append([]byte{1, 4, 6, 0}, build.SevenNumber(n)...)
	h = append(append(append(h, 9), make([]byte, n)...), 0, 7, 11)
	h = append(append(h, build.SevenNumber(n)...), 0)
	h = append(append(h, bytes.Repeat([]byte{1, 1, 0}, n)...), 12)
	h = append(append(h, make([]byte, n)...), 0, 0, 0)
	for _, limit := range []int64{64 << 20, 512 << 20} {
		b := open(t, func(c *Config) { c.MaxBytes = limit; c.MaxMembers = 1_000_000 })
		r, bytes := allocated(t, b, build.SevenArchiveOf(nil, h))
		wantFinding(t, r, backends.Partial, exceeded+"MaxMembers")
		t.Logf("table: memory: 7z of %d folders, max_bytes %d: %d bytes allocated, %v", n, limit, bytes, r.Category)
		if bytes > uint64(limit) {
			t.Errorf("%d bytes allocated, max_bytes is %d", bytes, limit)
		}
	}
}

func TestSevenProgram(t *testing.T) {
	b := open(t, nil)
	archive := sampleFiles(t)["7z/data.7z"]
	stub := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 200_000)...)
	stub = append(stub, build.SevenSignature+"not yet"...)
	wantFinding(t, scan(t, b, append(bytes.Clone(stub), archive...)), backends.Encrypted, walk.FindingSeven)
	wantFinding(t, scan(t, b, build.Attach("x.exe", append(bytes.Clone(stub), archive...))), backends.Encrypted, walk.FindingSeven)
	wantFinding(t, scan(t, b, append(bytes.Clone(stub), sampleFiles(t)["7z/plain.7z"]...)), backends.OK, "")
}

// TestSevenTruncated checks that a truncated archive is ok or partial.
func TestSevenTruncated(t *testing.T) {
	b := open(t, nil)
	for _, name := range []string{"7z/data.7z", "7z/nested-LZMA.7z", "7z/plain.7z"} {
		data := sampleFiles(t)[name]
		for n := range data {
			// Without its end an archive has no header.
			if r := scan(t, b, data[:n]); r.Category != backends.OK && !isCutOff(r) {
				t.Fatalf("%s: %d of %d bytes: %+v", name, n, len(data), r)
			}
		}
	}
}

// TestSevenDelta scans filters with distances up to the largest, with which bodgit/sevenzip
// never ends.
func TestSevenDelta(t *testing.T) {
	archive := build.Zip(t, build.Locked("x"))
	delta := func(distance int) []byte {
		packed := bytes.Clone(archive)
		for i := len(packed) - 1; i >= distance; i-- {
			packed[i] -= packed[i-distance]
		}
		// Delta, fed by Copy.
		chain := []byte{2, 0x21, 3, 1, byte(distance - 1), 1, 0, 0, 1}
		return build.Seven(build.SevenMember{Name: "x.zip", Packed: packed, Size: len(packed), Chain: chain, Coders: 2})
	}
	for _, distance := range []int{1, 4, 255, 256} {
		r := scan(t, open(t, nil), delta(distance))
		if wantFinding(t, r, backends.Encrypted, encryptedZip); t.Failed() {
			t.Fatal(distance)
		}
	}
}

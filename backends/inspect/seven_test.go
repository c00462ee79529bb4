package inspect

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"polyclam/backends"
)

// allocated counts what a scan allocates.
func allocated(t *testing.T, b *Backend, data []byte) (backends.Result, uint64) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := scan(t, b, data)
	runtime.ReadMemStats(&after)
	return r, after.TotalAlloc - before.TotalAlloc
}

// TestSevenBombs wants that no number in a header makes us, or the library,
// allocate by it.
func TestSevenBombs(t *testing.T) {
	huge := sevenNumber(1<<32 - 2)
	cat := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	lzma := func(dictionary uint32) []byte {
		return append([]byte{0x23, 3, 1, 1, 5, 0x5d}, binary.LittleEndian.AppendUint32(nil, dictionary)...)
	}
	ppmd := append([]byte{0x23, 3, 4, 1, 5, 6}, binary.LittleEndian.AppendUint32(nil, 1<<31)...)
	one := sevenStored("a", make([]byte, 100))
	with := func(coder []byte, size int) []byte { m := one; m.coder = coder; m.size = size; return makeSeven(m) }
	const limit = exceeded + "MaxBytes"
	for _, c := range []struct {
		name string
		data []byte
		want string // a finding's name
	}{
		{"pack streams", sevenArchiveOf(nil, cat([]byte{1, 4, 6, 0}, huge, []byte{9, 0, 0})), ""},
		{"folders", sevenArchiveOf(nil, cat([]byte{1, 4, 7, 11}, huge, []byte{0, 1})), ""},
		{"coders", sevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0}, huge)), ""},
		{"flows", sevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0, 1, 0x11, 0}, huge, huge, []byte{12, 0, 0, 0})), ""},
		{"properties", sevenArchiveOf(nil, cat([]byte{1, 4, 7, 11, 1, 0, 1, 0x21, 0}, huge)), ""},
		{"members of a folder", sevenArchiveOf(nil, cat([]byte{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 8, 13}, huge, []byte{0, 0, 5, 1, 0, 0})), ""},
		{"sums", sevenArchiveOf(nil, cat([]byte{1, 4, 6, 0, 1, 9, 1, 10, 0}, make([]byte, 100))), ""},
		{"files", sevenArchiveOf([]byte("x"), cat([]byte{1, 4, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 0, 5}, huge, []byte{14, 1, 0, 0, 0})), ""},
		{"header's size", func() []byte {
			b := sevenArchiveOf(nil, []byte{1, 0})
			binary.LittleEndian.PutUint64(b[20:], 1<<62)
			return b
		}(), ""},
		{"LZMA of 4 GiB", with(lzma(1<<32-1), 1<<32), limit},
		{"LZMA2 of 4 GiB", with([]byte{0x21, 0x21, 1, 40}, 1<<32), limit},
		{"PPMD of 2 GiB", with(ppmd, 1<<20), limit},
		// A dictionary is never larger than what comes out.
		{"LZMA of 4 GiB, small", with(lzma(1<<32-1), 1<<19), unscannedBroken},
		{"LZMA2 of 4 GiB, small", with([]byte{0x21, 0x21, 1, 40}, 1<<19), unscannedBroken},
		{"unknown method", with([]byte{0x03, 3, 3, 9}, 100), unscannedMethod},
		{"coder bound to itself", makeSeven(sevenMember{packed: []byte("x"), size: 100, chain: []byte{2, 1, 0, 1, 0, 0, 0}, coders: 2}), unscannedBroken},
		{"unpacked to 1 TiB", func() []byte { m := one; m.coder = []byte{0x21, 0x21, 1, 10}; m.size = 1 << 40; return makeSeven(m) }(), limit},
		{"empty header", sevenArchiveOf(nil, nil), ""},
		{"header packed to itself", sevenArchiveOf([]byte("x"), []byte{0x17, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12, 1, 0, 0}), ""},
		{"packed header of 1 GiB", sevenArchiveOf([]byte("x"), cat([]byte{0x17, 6, 0, 1, 9, 1, 0, 7, 11, 1, 0, 1, 1, 0, 12}, sevenNumber(1<<30), []byte{0, 0})), limit},
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

// TestSevenManyFolders has as many folders as fit into a large header.
func TestSevenManyFolders(t *testing.T) {
	const n = 190_000
	h := append([]byte{1, 4, 6, 0}, sevenNumber(n)...)
	h = append(append(append(h, 9), make([]byte, n)...), 0, 7, 11)
	h = append(append(h, sevenNumber(n)...), 0)
	h = append(append(h, bytes.Repeat([]byte{1, 1, 0}, n)...), 12)
	h = append(append(h, make([]byte, n)...), 0, 0, 0)
	for _, limit := range []Size{64 << 20, 512 << 20} {
		b := open(t, func(c *Config) { c.MaxBytes = limit; c.MaxMembers = 1_000_000 })
		r, bytes := allocated(t, b, sevenArchiveOf(nil, h))
		wantFinding(t, r, backends.Partial, exceeded+"MaxMembers")
		t.Logf("table: memory: 7z of %d folders, max_bytes %d: %d bytes allocated, %v", n, limit, bytes, r.Category)
		if bytes > uint64(limit) {
			t.Errorf("%d bytes allocated, max_bytes is %d", bytes, limit)
		}
	}
}

// TestSevenNumbers compares numbers of all lengths.
func TestSevenNumbers(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want uint64
	}{
		{[]byte{0}, 0}, {[]byte{0x7f}, 0x7f}, {[]byte{0x80, 0x80}, 0x80}, {[]byte{0xbf, 0xff}, 0x3fff},
		{[]byte{0xc0, 1, 2}, 0x0201}, {[]byte{0xdf, 1, 2}, 0x1f0201}, {[]byte{0xfe, 1, 2, 3, 4, 5, 6, 7}, 0x07060504030201},
		{[]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8}, 0x0807060504030201},
	} {
		r := sevenReader{b: c.b}
		if got := r.number(); got != c.want || r.bad || len(r.b) != 0 {
			t.Errorf("% x is %#x, want %#x", c.b, got, c.want)
		}
		r = sevenReader{b: c.b[:len(c.b)-1]}
		if r.number(); !r.bad {
			t.Errorf("% x cut is good", c.b)
		}
	}
}

func TestSevenProgram(t *testing.T) {
	b := open(t, nil)
	archive := sampleFiles(t)["7z/data.7z"]
	stub := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 200_000)...)
	stub = append(stub, sevenSignature+"not yet"...)
	wantFinding(t, scan(t, b, append(bytes.Clone(stub), archive...)), backends.Encrypted, findingSeven)
	wantFinding(t, scan(t, b, attach("x.exe", append(bytes.Clone(stub), archive...))), backends.Encrypted, findingSeven)
	wantFinding(t, scan(t, b, append(bytes.Clone(stub), sampleFiles(t)["7z/plain.7z"]...)), backends.OK, "")
}

// TestSevenTruncated cuts and breaks archives: no opinion.
func TestSevenTruncated(t *testing.T) {
	b := open(t, nil)
	for _, name := range []string{"7z/data.7z", "7z/nested-LZMA.7z", "7z/plain.7z"} {
		data := sampleFiles(t)[name]
		for n := range data {
			if r := scan(t, b, data[:n]); r.Category != backends.OK {
				t.Fatalf("%s: %d of %d bytes: %+v", name, n, len(data), r)
			}
		}
	}
}

// FuzzSeven has right sums around any streams and header.
func FuzzSeven(f *testing.F) {
	add := func(data []byte) {
		start := int(binary.LittleEndian.Uint64(data[12:])) + sevenStartSize
		f.Add(data[sevenStartSize:start], data[start:])
	}
	for _, data := range sampleFiles(f) {
		if bytes.HasPrefix(data, []byte(sevenSignature)) {
			add(data)
		}
	}
	add(makeSeven(sevenStored("a", []byte("some text")), sevenStored("b.zip", makeZip(f, locked("x")))))
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, streams, header []byte) {
		r := fuzzScan(t, b, sevenArchiveOf(streams, header))
		if len(header) == 0 || header[0] != sevenEncodedHeader {
			return
		}
		h := sevenReader{b: header[1:]}
		if s := h.streams(); !h.bad && s.encrypted >= 0 && r.Category == backends.OK {
			t.Errorf("%+v, but the header is encrypted", r)
		}
	})
}

// TestSevenDelta has filters with the largest distance, which bodgit/sevenzip
// reads forever.
func TestSevenDelta(t *testing.T) {
	archive := makeZip(t, locked("x"))
	delta := func(distance int) []byte {
		packed := bytes.Clone(archive)
		for i := len(packed) - 1; i >= distance; i-- {
			packed[i] -= packed[i-distance]
		}
		// Delta, whose input is bound to the output of Copy.
		chain := []byte{2, 0x21, 3, 1, byte(distance - 1), 1, 0, 0, 1}
		return makeSeven(sevenMember{name: "x.zip", packed: packed, size: len(packed), chain: chain, coders: 2})
	}
	for _, distance := range []int{1, 4, 255, 256} {
		r := scan(t, open(t, nil), delta(distance))
		if wantFinding(t, r, backends.Encrypted, encryptedZip); t.Failed() {
			t.Fatal(distance)
		}
	}
}

package cab

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/archive/archivetest"
)

const (
	hello = "hello.txt 27 85143c00"
	enc   = "enc.zip 156 c8e498fc"
	long  = "long.txt 105784 7056641b"
)

// members is Members without a spending limit.
func members(r io.ReaderAt, size int64) archive.Members {
	return Members(r, size, func(int64) error { return nil })
}

func TestSamples(t *testing.T) {
	archivetest.Samples(t, Matches, members, map[string][]string{
		"stored.cab": {hello, enc},
		"mszip.cab":  {hello, long, enc},
	})
}

// TestHostile alters stored.cab: its folder is at 36, its files are at 44 and 70, and its
// block is at 94.
func TestHostile(t *testing.T) {
	put16 := func(at int, v uint16) func(b []byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[at:], v); return b }
	}
	put32 := func(at int, v uint32) func(b []byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint32(b[at:], v); return b }
	}
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   []string
	}{
		"unchanged":             {func(b []byte) []byte { return b }, []string{hello, enc}},
		"LZX":                   {put16(42, 0x1503), []string{"hello.txt: packed with LZX, which is not supported", "enc.zip: packed with LZX, which is not supported"}},
		"Quantum":               {put16(42, 0x1472), []string{"hello.txt: packed with Quantum, which is not supported", "enc.zip: packed with Quantum, which is not supported"}},
		"method 9":              {put16(42, 9), []string{"hello.txt: packed with method 9, which is not supported", "enc.zip: packed with method 9, which is not supported"}},
		"not MSZIP":             {put16(42, 1), []string{"hello.txt: after 0 bytes: damaged", "enc.zip: damaged"}},
		"more files":            {func(b []byte) []byte { return put16(28, 0xffff)(b)[:94] }, []string{"hello.txt: after 0 bytes: cut off", "enc.zip: cut off", ": cut off"}},
		"fewer files":           {put16(28, 1), []string{hello}},
		"files beyond the end":  {put32(16, 1<<32-1), []string{": cut off"}},
		"folder beyond the end": {put32(36, 1<<32-1), []string{"hello.txt: after 0 bytes: cut off", "enc.zip: cut off"}},
		"no such folder":        {put16(52, 7), []string{"hello.txt: no such folder", enc}},
		"from another cabinet":  {put16(52, 0xfffd), []string{"hello.txt: continued in another cabinet", enc}},
		"in all cabinets":       {put16(52, 0xffff), []string{"hello.txt: continued in another cabinet", enc}},
		"file of 4 GiB":         {put32(44, 1<<32-1), []string{"hello.txt: after 183 bytes: cut off", enc}},
		"file beyond the end":   {put32(48, 1<<32-1), []string{"hello.txt: cut off", enc}},
		"no blocks":             {put16(40, 0), []string{"hello.txt: after 0 bytes: cut off", "enc.zip: cut off"}},
		"more blocks":           {put16(40, 0xffff), []string{hello, enc}},
		"block too large":       {put16(98, 0xffff), []string{"hello.txt: after 0 bytes: cut off", "enc.zip: cut off"}},
		"block goes on":         {put16(100, 0), []string{"hello.txt: after 0 bytes: continued in another cabinet", "enc.zip: continued in another cabinet"}},
		"cut off":               {func(b []byte) []byte { return b[:200] }, []string{"hello.txt: after 0 bytes: cut off", "enc.zip: cut off"}},
		"header alone":          {func(b []byte) []byte { return b[:36] }, []string{": cut off"}},
		"half a header":         {func(b []byte) []byte { return b[:20] }, []string{": cut off"}},
		"reserve of 64 KiB": {func(b []byte) []byte {
			b[30] = 4
			return slices.Insert(b, headerSize, 0xff, 0xff, 0xff, 0xff)
		}, []string{": cut off", ": no such folder"}},
		"names of cabinets": {func(b []byte) []byte {
			b[30] = 3
			binary.LittleEndian.PutUint32(b[16:], 44+8)
			binary.LittleEndian.PutUint32(b[36:], 94+8)
			return slices.Insert(b, headerSize, []byte("a\x00b\x00c\x00d\x00")...)
		}, []string{hello, enc}},
		"name without an end": {func(b []byte) []byte { return append(b[:60], bytes.Repeat([]byte("x"), 1000)...) }, []string{": damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			archivetest.Want(t, c.change(archivetest.Read(t, "stored.cab")), members, c.want...)
		})
	}
}

// TestMSZIP damages blocks of mszip.cab.
func TestMSZIP(t *testing.T) {
	data := archivetest.Read(t, "mszip.cab")
	at := int(binary.LittleEndian.Uint32(data[36:]))
	second := at + blockSize + int(binary.LittleEndian.Uint16(data[at+4:]))
	for name, c := range map[string]struct {
		at   int
		v    byte
		want []string
	}{
		"magic":       {at + blockSize, 'x', []string{"hello.txt: after 0 bytes: damaged", "long.txt: damaged", "enc.zip: damaged"}},
		"second":      {second + blockSize, 'x', []string{hello, "long.txt: after 32741 bytes: damaged", "enc.zip: damaged"}},
		"second size": {second + 7, 0xff, []string{hello, "long.txt: after 32741 bytes: damaged", "enc.zip: damaged"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := slices.Clone(data)
			b[c.at] = c.v
			archivetest.Want(t, b, members, c.want...)
		})
	}
}

// TestSpend checks that repeated unpacking is paid for: the cabinet lists a file at the end
// of its folder and one at the beginning, again and again.
func TestSpend(t *testing.T) {
	data := archivetest.Read(t, "mszip.cab")
	begin, end := data[44:70], data[70+25:]
	end = end[:bytes.IndexByte(end[fileSize:], 0)+fileSize+1]
	if string(begin[fileSize:]) != "hello.txt\x00" || string(end[fileSize:]) != "enc.zip\x00" {
		t.Fatalf("%q, %q", begin, end)
	}
	const pairs = 100
	files := bytes.Repeat(slices.Concat(end, begin), pairs)
	binary.LittleEndian.PutUint32(data[16:], uint32(len(data)))
	binary.LittleEndian.PutUint16(data[28:], 2*pairs)
	data = append(data, files...)
	spent := int64(0)
	for _, err := range Members(bytes.NewReader(data), int64(len(data)), func(n int64) error { spent += n; return nil }) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if spent < pairs*105_784 {
		t.Errorf("spent %d bytes", spent)
	}
	// Only files that need no skipping are free.
	for m, err := range Members(bytes.NewReader(data), int64(len(data)), func(int64) error { return archivetest.ErrMemory }) {
		if err == nil && m.Name != "hello.txt" {
			t.Fatalf("%s was handed out without spending", m.Name)
		}
	}
}

func TestMatches(t *testing.T) {
	data := archivetest.Read(t, "stored.cab")
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"cabinet":   {data, true},
		"short":     {data[:headerSize-1], false},
		"version 2": {append(slices.Clone(data[:25]), append([]byte{2}, data[26:]...)...), false},
		"zeros":     {make([]byte, 100), false},
	} {
		if got := Matches(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, members) }

package lha

import (
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

const (
	hello = "hello.txt 27 85143c00"
	enc   = "enc.zip 156 c8e498fc"
	long  = "long.txt 105784 7056641b"
)

func TestSamples(t *testing.T) {
	archivetest.Samples(t, Matches, Members, map[string][]string{
		"lh0.lzh":        {hello, enc},
		"lh5-level0.lzh": {hello, long, enc},
		"lh5-level1.lzh": {hello, long, enc},
		"lh5-level2.lzh": {hello, long, enc},
		"lh6.lzh":        {hello, long, enc},
		"lh7.lzh":        {hello, long, enc},
	})
}

// fix corrects the checksum of a level 0 or 1 header.
func fix(b []byte) []byte {
	b[1] = sum(b[2 : int(b[0])+2])
	return b
}

// TestHostile alters archives of hello.txt and enc.zip, some with long.txt between them.
func TestHostile(t *testing.T) {
	put := func(at int, v ...byte) func(b []byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return fix(b) }
	}
	for name, c := range map[string]struct {
		file   string
		change func(b []byte) []byte
		want   []string
	}{
		"another method":        {"lh5-level0.lzh", put(5, '1'), []string{"hello.txt: packed with \"-lh1-\", which is not supported", long, enc}},
		"no method":             {"lh0.lzh", put(6, '1'), []string{": damaged header"}},
		"level 9":               {"lh0.lzh", put(20, 9), []string{": damaged header"}},
		"packed size of 4 GiB":  {"lh5-level0.lzh", put(7, 0xff, 0xff, 0xff, 0xff), []string{hello, "hello.txt: cut off"}},
		"stored size of 4 GiB":  {"lh5-level0.lzh", func(b []byte) []byte { return put(7, 0xff, 0xff, 0xff, 0xff)(put(5, '0')(b))[:40] }, []string{"hello.txt 7 *", "hello.txt: cut off"}},
		"size of 4 GiB":         {"lh5-level0.lzh", put(11, 0xff, 0xff, 0xff, 0xff), []string{"hello.txt: after 27 bytes: *", long, enc}},
		"nothing packed":        {"lh5-level0.lzh", put(7, 0, 0, 0, 0), []string{"hello.txt: after 0 bytes: cut off"}},
		"name too long":         {"lh0.lzh", put(21, 0xff), []string{": damaged header"}},
		"cut off in a header":   {"lh5-level1.lzh", func(b []byte) []byte { return b[:20] }, []string{": cut off"}},
		"cut off in a name":     {"lh5-level1.lzh", func(b []byte) []byte { return b[:28] }, []string{": cut off"}},
		"cut off in the chain":  {"lh5-level2.lzh", func(b []byte) []byte { return b[:30] }, []string{": cut off"}},
		"chain too long":        {"lh5-level2.lzh", func(b []byte) []byte { b[24], b[25] = 0xff, 0xff; return b }, []string{": cut off"}},
		"chain in itself":       {"lh5-level2.lzh", func(b []byte) []byte { b[24], b[25] = 1, 0; return b }, []string{": damaged header"}},
		"chain beyond a header": {"lh5-level2.lzh", func(b []byte) []byte { b[0], b[1] = 26, 0; return b }, []string{": damaged header"}},
		"damaged codes":         {"lh5-level0.lzh", func(b []byte) []byte { b[34], b[35], b[36], b[37] = 0xff, 0xff, 0xff, 0xff; return b }, []string{"hello.txt: after 0 bytes: damaged code", long, enc}},
		"no end":                {"lh0.lzh", func(b []byte) []byte { return b[:len(b)-1] }, []string{hello, enc}},
		"trailing data":         {"lh0.lzh", func(b []byte) []byte { return append(b, "more"...) }, []string{hello, enc}},
	} {
		t.Run(name, func(t *testing.T) {
			archivetest.Want(t, c.change(archivetest.Read(t, c.file)), Members, c.want...)
		})
	}
}

// TestNewHeaders reads a level 3 header with a folder.
func TestNewHeaders(t *testing.T) {
	b := make([]byte, 28, 100)
	copy(b[2:], "-lh0-")
	b[0], b[7], b[11], b[20], b[24] = 4, 5, 5, 3, 32+8+9
	b = append(b, 8, 0, 0, 0, 1, 'a', '.', 'b', 9, 0, 0, 0, 2, 'd', 'i', 'r', 0xff, 0, 0, 0, 0)
	b[24] = byte(len(b))
	if !Matches(b) {
		t.Error("does not match")
	}
	archivetest.Want(t, append(b, "hello"...), Members, "dir/a.b 5 2cf24dba")
}

func TestMatches(t *testing.T) {
	data := archivetest.Read(t, "lh5-level1.lzh")
	wrong := slices.Clone(data)
	wrong[1]++
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"archive":   {data, true},
		"wrong sum": {wrong, false},
		"short":     {data[:smallest-1], false},
		"text":      {[]byte("a -lh5- and so on and on"), false},
		"zeros":     {make([]byte, 100), false},
	} {
		if got := Matches(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, Members) }

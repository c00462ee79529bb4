package tar

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

var long = strings.Repeat("long", 30) + "/enc.zip"

const (
	hello = " 27 85143c00"
	enc   = " 156 c8e498fc"
)

func TestSamples(t *testing.T) {
	archivetest.Samples(t, Matches, Members, map[string][]string{
		"v7.tar":             {"hello.txt" + hello, "enc.zip" + enc},
		"bsdtar-v7.tar":      {"hello.txt" + hello, "enc.zip" + enc},
		"ustar.tar":          {"hello.txt" + hello, "enc.zip" + enc},
		"oldgnu.tar":         {"hello.txt" + hello, long + enc},
		"gnu.tar":            {"hello.txt" + hello, long + enc},
		"posix.tar":          {"hello.txt" + hello, long + enc},
		"gnu-sparse.tar":     {"many.bin 60000 92980ac5", "sparse.zip 36250 4415c999", "hello.txt" + hello},
		"pax-sparse-0.0.tar": {"many.bin 60000 92980ac5", "sparse.zip 36250 4415c999", "hello.txt" + hello},
		"pax-sparse-0.1.tar": {"many.bin 60000 92980ac5", "sparse.zip 36250 4415c999", "hello.txt" + hello},
		"pax-sparse-1.0.tar": {"many.bin 60000 92980ac5", "sparse.zip 36250 4415c999", "hello.txt" + hello},
	})
}

// TestStandardLibrary compares our members with those of archive/tar.
func TestStandardLibrary(t *testing.T) {
	for _, name := range []string{"v7.tar", "bsdtar-v7.tar", "ustar.tar", "oldgnu.tar", "gnu.tar", "posix.tar",
		"gnu-sparse.tar", "pax-sparse-0.0.tar", "pax-sparse-0.1.tar", "pax-sparse-1.0.tar"} {
		data := archivetest.Read(t, name)
		var want []string
		r := tar.NewReader(bytes.NewReader(data))
		for h, err := r.Next(); err == nil; h, err = r.Next() {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, archivetest.Line(h.Name, b))
		}
		if got := archivetest.List(data, Members); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, archive/tar has %q", name, got, want)
		}
	}
}

// sum corrects the checksum of the header at off.
func sum(data []byte, off int) []byte {
	h := data[off : off+blockSize]
	copy(h[148:], "        ")
	n := 0
	for _, c := range h {
		n += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", n))
	return data
}

const helloLine, encLine = "hello.txt" + hello, "enc.zip" + enc

// hostile are changes to an archive of hello.txt and enc.zip: a header and a block each,
// then two zero blocks.
var hostile = []struct {
	name   string
	change func(b []byte) []byte
	want   []string
}{
	{"size of 8 GiB", func(b []byte) []byte { copy(b[124:], "77777777777\x00"); return sum(b, 0) },
		[]string{"hello.txt 2560 *", "hello.txt: cut off"}},
	{"size of 2^62", func(b []byte) []byte {
		copy(b[124:], "\x80\x00\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00")
		return sum(b, 0)
	}, []string{"hello.txt 2560 *", "hello.txt: cut off"}},
	{"size beyond 2^63", func(b []byte) []byte {
		copy(b[124:], "\x80\x01\x00\x00\x40\x00\x00\x00\x00\x00\x00\x00")
		return sum(b, 0)
	}, []string{"hello.txt: damaged header", encLine, ": damaged header"}},
	{"negative size", func(b []byte) []byte { copy(b[124:], strings.Repeat("\xff", 12)); return sum(b, 0) },
		[]string{"hello.txt: damaged header", encLine, ": damaged header"}},
	{"size without digits", func(b []byte) []byte { copy(b[124:], "nonsense    "); return sum(b, 0) },
		[]string{"hello.txt: damaged header", encLine, ": damaged header"}},
	{"second header damaged", func(b []byte) []byte { b[1024] ^= 1; return b },
		[]string{helloLine, ": damaged header"}},
	{"zeros between members", func(b []byte) []byte { return slices.Insert(b, 1024, make([]byte, 20*512)...) },
		[]string{helloLine, encLine}},
	{"garbage between members", func(b []byte) []byte { return slices.Insert(b, 1024, bytes.Repeat([]byte("junk"), 20*128)...) },
		[]string{helloLine, encLine, ": damaged header"}},
	{"another archive after the end", func(b []byte) []byte { return append(b, b...) },
		[]string{helloLine, encLine, helloLine, encLine}},
	{"link with data", func(b []byte) []byte { b[1024+156] = '2'; return sum(b, 1024) },
		[]string{helloLine, encLine, ": damaged header"}},
	{"folder with data", func(b []byte) []byte { b[1024+156] = '5'; return sum(b, 1024) },
		[]string{helloLine, encLine, ": damaged header"}},
	{"unknown type", func(b []byte) []byte { b[1024+156] = 'Q'; return sum(b, 1024) },
		[]string{helloLine, encLine}},
	{"contiguous file", func(b []byte) []byte { b[1024+156] = '7'; return sum(b, 1024) },
		[]string{helloLine, encLine}},
	{"another volume", func(b []byte) []byte { b[156] = 'M'; return sum(b, 0) },
		[]string{helloLine, "hello.txt: continued from another volume", encLine}},
	{"cut off in the data", func(b []byte) []byte { return b[:1024+512+20] },
		[]string{helloLine, "enc.zip 20 *", "enc.zip: cut off"}},
	{"cut off between members", func(b []byte) []byte { return b[:1024] }, []string{helloLine}},
	{"long name of 8 GiB", func(b []byte) []byte {
		b[156] = 'L'
		copy(b[124:], "77777777777\x00")
		return sum(b, 0)
	}, []string{": cut off"}},
	{"malformed pax records", func(b []byte) []byte { b[156] = 'x'; return sum(b, 0) },
		[]string{": malformed pax header"}},
	{"pax records of 8 GiB", func(b []byte) []byte {
		b[156] = 'x'
		copy(b[124:], "77777777777\x00")
		return sum(b, 0)
	}, []string{": cut off"}},
	{"sparse without a map", func(b []byte) []byte { b[156] = 'S'; return sum(b, 0) },
		[]string{"hello.txt 0 e3b0c442", encLine}},
	{"sparse out of order", func(b []byte) []byte {
		b[156] = 'S'
		copy(b[386:], "00000000020\x0000000000010\x0000000000000\x0000000000010\x00")
		copy(b[483:], "00000000100\x00")
		return sum(b, 0)
	}, []string{"hello.txt: damaged map of a sparse file", encLine}},
	{"sparse with more data than the archive", func(b []byte) []byte {
		b[156] = 'S'
		copy(b[386:], "00000000000\x0000000000100\x00")
		copy(b[483:], "00000000200\x00")
		return sum(b, 0)
	}, []string{"hello.txt: damaged map of a sparse file", encLine}},
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			archivetest.Want(t, c.change(archivetest.Read(t, "v7.tar")), Members, c.want...)
		})
	}
}

func TestMatches(t *testing.T) {
	data := archivetest.Read(t, "v7.tar")
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"archive":     {data, true},
		"short":       {data[:511], false},
		"nothing":     {nil, false},
		"zeros":       {make([]byte, 1024), false},
		"blanks":      {bytes.Repeat([]byte(" "), 1024), false},
		"magic alone": {append(make([]byte, 257), append([]byte("ustar"), make([]byte, 400)...)...), true},
	} {
		if got := Matches(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	signed := slices.Clone(data)
	signed[0] = 0xff
	h := signed[:blockSize]
	n := int64(8 * ' ')
	for i, c := range h {
		if i < 148 || i >= 156 {
			n += int64(int8(c))
		}
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", n))
	if !Matches(signed) {
		t.Error("checksum of signed bytes not accepted")
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, Members) }

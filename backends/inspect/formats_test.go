package inspect

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/archive/archivetest"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

const locked = `member "hello.txt" in zip: ZipCrypto`

// formatFiles are the samples of the format packages, made by real programs, and the detail
// that each must give.
var formatFiles = map[string]string{
	"ar/testdata/bsd.a":               `member "enc-with-a-name-of-more-than-sixteen.zip" in ar: ` + locked,
	"ar/testdata/gnu.a":               `member "enc-with-a-name-of-more-than-sixteen.zip" in ar: ` + locked,
	"ar/testdata/thin.a":              "",
	"ar/testdata/x.deb":               `member "data.tar.xz" in ar: xz: member "./usr/share/x/enc.zip" in tar: ` + locked,
	"cab/testdata/mszip.cab":          `member "enc.zip" in cab: ` + locked,
	"cab/testdata/stored.cab":         `member "enc.zip" in cab: ` + locked,
	"cpio/testdata/bin.cpio":          `member "enc.zip" in cpio: ` + locked,
	"cpio/testdata/crc.cpio":          `member "enc.zip" in cpio: ` + locked,
	"cpio/testdata/newc.cpio":         `member "enc.zip" in cpio: ` + locked,
	"cpio/testdata/odc.cpio":          `member "enc.zip" in cpio: ` + locked,
	"iso/testdata/joliet.iso.gz":      `member "deep/er/enc.zip" in iso: ` + locked,
	"iso/testdata/plain.iso.gz":       `member "DEEP/ER/ENC.ZIP" in iso: ` + locked,
	"lha/testdata/lh0.lzh":            `member "enc.zip" in lha: ` + locked,
	"lha/testdata/lh5-level0.lzh":     `member "enc.zip" in lha: ` + locked,
	"lha/testdata/lh5-level1.lzh":     `member "enc.zip" in lha: ` + locked,
	"lha/testdata/lh5-level2.lzh":     `member "enc.zip" in lha: ` + locked,
	"lha/testdata/lh6.lzh":            `member "enc.zip" in lha: ` + locked,
	"lha/testdata/lh7.lzh":            `member "enc.zip" in lha: ` + locked,
	"lz4/testdata/enc.zip.lz4":        "lz4: " + locked,
	"lz4/testdata/text-9.lz4":         "",
	"lz4/testdata/text-legacy.lz4":    "",
	"lzw/testdata/enc.zip.Z":          "compress: " + locked,
	"lzw/testdata/two-10.Z":           "",
	"tar/testdata/bsdtar-v7.tar":      `member "enc.zip" in tar: ` + locked,
	"tar/testdata/gnu-sparse.tar":     `member "sparse.zip" in tar: ` + locked,
	"tar/testdata/gnu.tar":            `enc.zip" in tar: ` + locked,
	"tar/testdata/pax-sparse-0.0.tar": `member "sparse.zip" in tar: ` + locked,
	"tar/testdata/pax-sparse-0.1.tar": `member "sparse.zip" in tar: ` + locked,
	"tar/testdata/pax-sparse-1.0.tar": `member "sparse.zip" in tar: ` + locked,
	"tar/testdata/posix.tar":          `enc.zip" in tar: ` + locked,
	"tar/testdata/ustar.tar":          `member "enc.zip" in tar: ` + locked,
	"tar/testdata/v7.tar":             `member "enc.zip" in tar: ` + locked,
	"xz/testdata/enc.zip.lzma":        "lzma: " + locked,
	"xz/testdata/enc.zip.xz":          "xz: " + locked,
	"xz/testdata/text-blocks.xz":      "",
	"xz/testdata/text-delta.xz":       "",
	"xz/testdata/text-eos.lzma":       "",
	"xz/testdata/text-sha256.xz":      "",
	"xz/testdata/text-streams.xz":     "",
	"xz/testdata/text-x86.xz":         "",
	"zstd/testdata/enc.zip.zst":       "zstd: " + locked,
	"zstd/testdata/text-19.zst":       "",
	"zstd/testdata/text-frames.zst":   "",
	"zstd/testdata/text-stream.zst":   "",
}

// formatSamples are the formatFiles that are small enough for the table.
func formatSamples(tb testing.TB) []sample {
	tb.Helper()
	return slices.DeleteFunc(allFormatSamples(tb), func(s sample) bool { return len(s.data) > 16<<10 })
}

// TestFormatFiles scans all of formatFiles.
func TestFormatFiles(t *testing.T) {
	b := open(t, nil)
	for _, s := range allFormatSamples(t) {
		r := scan(t, b, s.data)
		if got := len(r.Findings) == 1 && r.Findings[0].Name == s.finding; got != (s.finding != "") || r.Detail != s.detail {
			t.Errorf("%s: %+v, want %q, detail %q", s.name, r, s.finding, s.detail)
		}
	}
}

func allFormatSamples(tb testing.TB) []sample {
	tb.Helper()
	var all []sample
	for _, name := range slices.Sorted(maps.Keys(formatFiles)) {
		s := sample{name: name, data: archivetest.ReadFile(tb, name), detail: formatFiles[name]}
		if s.detail != "" {
			s.finding = walk.FindingZip
		}
		if before, found := strings.CutPrefix(s.detail, `enc.zip"`); found {
			s.detail = `member "` + strings.Repeat("long", 30) + `/enc.zip"` + before
		}
		all = append(all, s)
	}
	return all
}

// TestUnscanned checks that what is recognised but cannot be inspected is partial, with the
// reason.
func TestUnscanned(t *testing.T) {
	b := open(t, nil)
	file := func(name string, change func(b []byte) []byte) []byte { return change(archivetest.ReadFile(t, name)) }
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	put := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	lh1 := func(b []byte) []byte {
		b[1] += '1' - b[5]
		b[5] = '1'
		return append(b[:int(b[0])+2+int(b[7])], 0) // without the other members
	}
	plain := build.Zip(t, build.Text("a.txt"), build.Text("b.txt"))
	for _, c := range []struct {
		name         string
		data         []byte
		want, detail string
	}{
		{"xz cut off", cut(6)(build.XZ(t, plain)), walk.UnscannedCutOff, "xz: cut off"},
		{"xz cut off in a text", file("xz/testdata/text-sha256.xz", cut(2500)), walk.UnscannedCutOff, "xz: cut off"},
		{"xz damaged", file("xz/testdata/enc.zip.xz", put(16, 1)), walk.UnscannedBroken, "xz: damaged"},
		{"xz with trailing data", append(build.XZ(t, plain), "something"...), walk.UnscannedBroken, "xz: unknown data after the end"},
		{"lzma cut off", cut(6)(build.LZMA(t, plain)), walk.UnscannedCutOff, "lzma: cut off"},
		{"zstd cut off", cut(8)(build.Zstd(t, plain)), walk.UnscannedCutOff, "zstd: cut off"},
		{"zstd with a dictionary", archivetest.ReadFile(t, "zstd/testdata/text-dictionary.zst"), walk.UnscannedMethod, "zstd: needs a dictionary"},
		{"old zstd format", file("zstd/testdata/text-19.zst", put(0, 0x25)), walk.UnscannedMethod, "zstd: format of Zstandard before 0.8"},
		{"zstd with a large window", archivetest.ReadFile(t, "zstd/testdata/text-long.zst"), exceeded + "MaxBytes", "limit reached: MaxBytes 67108864"},
		{"lz4 cut off", cut(8)(build.LZ4(plain)), walk.UnscannedCutOff, "lz4: cut off"},
		{"lz4 with a dictionary", file("lz4/testdata/text-9.lz4", put(4, 0x61)), walk.UnscannedMethod, "lz4: needs a dictionary"},
		{"compress with 20 bits", put(2, 0x94)(archivetest.ReadFile(t, "lzw/testdata/enc.zip.Z")), "", ""},
		{"tar cut off", cut(1700)(build.Tar(t, build.Text("a.txt"), build.File{Name: "z.txt", Data: make([]byte, 1024)})), walk.UnscannedCutOff, `member "z.txt" in tar: cut off`},
		{"tar damaged", put(600, 'x')(put(1024, 'x')(build.Tar(t, build.Text("a.txt"), build.Text("b.txt")))), walk.UnscannedBroken, "tar: damaged header"},
		{"tar of several volumes", tarVolume(), walk.UnscannedSplit, `member "b.txt" in tar: continued from another volume`},
		{"ar cut off", cut(5)(build.Ar(build.Text("a.txt"))), walk.UnscannedCutOff, `member "a.txt" in ar: cut off`},
		{"ar damaged", append(build.Ar(build.Text("a.txt")), bytes.Repeat([]byte("x"), 100)...), walk.UnscannedBroken, "ar: damaged header"},
		{"cpio cut off", build.Cpio(build.File{Name: "a.txt", Data: make([]byte, 1024)})[:500], walk.UnscannedCutOff, `member "a.txt" in cpio: cut off`},
		{"iso cut off", build.ISO(build.File{Name: "A", Data: make([]byte, 9000)})[:40_000], walk.UnscannedCutOff, `member "A" in iso: cut off`},
		{"iso without its root", build.ISO()[:36_000], walk.UnscannedCutOff, "iso: cut off"},
		{"udf damaged", damagedUDF(t), walk.UnscannedBroken, "iso: damaged UDF file system"},
		{"cab with LZX", put(42, 3, 0x15)(archivetest.ReadFile(t, "cab/testdata/mszip.cab")), walk.UnscannedMethod, `member "hello.txt" in cab: packed with LZX, which is not supported`},
		{"cab of several", put(52, 0xfe, 0xff)(build.Cab(t, false, build.Text("a"))), walk.UnscannedSplit, ""},
		{"cab cut off", cut(20)(build.Cab(t, true, build.File{Name: "a.zip", Data: plain})), walk.UnscannedCutOff, `member "a.zip" in cab: cut off`},
		{"cab damaged", put(2, 0)(build.Cab(t, true, build.Text("a.txt"))), "", ""},
		{"lha with lh1", file("lha/testdata/lh5-level0.lzh", lh1), walk.UnscannedMethod, `member "hello.txt" in lha: packed with "-lh1-", which is not supported`},
		{"lha cut off", build.LHA(build.File{Name: "a.txt", Data: make([]byte, 100)})[:80], walk.UnscannedCutOff, `member "a.txt" in lha: cut off`},
	} {
		for how, data := range map[string][]byte{"": c.data, " in zip": build.Zip(t, build.Inner("x", c.data, false)), " in mail": build.Attach("x", c.data)} {
			r := scan(t, b, data)
			got := ""
			if len(r.Findings) == 1 {
				got = r.Findings[0].Name
			}
			if got != c.want || c.want == "" && r.Category != backends.OK || c.want != "" && r.Category != backends.Partial || c.detail != "" && r.Detail != c.detail {
				t.Errorf("%s%s: %+v, want %q, %q", c.name, how, r, c.want, c.detail)
			}
		}
	}
}

// tarVolume returns the second volume of an archive.
func tarVolume() []byte {
	data := build.TarV7(build.Text("a.txt"), build.Text("b.txt"))
	h := data[1024:1536]
	h[156] = 'M'
	sum := int('M')
	for i, c := range h {
		if i == 156 {
			continue
		}
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return data
}

// damagedUDF returns an image that begins like a UDF file system.
func damagedUDF(t *testing.T) []byte {
	t.Helper()
	data := make([]byte, 600<<10)
	copy(data[16*2048:], "\x00BEA01")
	copy(data[17*2048:], "\x00NSR02")
	copy(data[256*2048:], "garbage where the anchor is")
	return data
}

// TestImages scans kinds of images that are not in the table, bare and packed.
func TestImages(t *testing.T) {
	b := open(t, nil)
	iso := archivetest.ReadFile(t, "iso/testdata/joliet.iso.gz")
	var raw []byte
	for rest := iso; len(rest) > 0; rest = rest[2048:] {
		raw = append(raw, "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x02\x00\x01"...)
		raw = append(append(raw, rest[:2048]...), make([]byte, 288)...)
	}
	boot := slices.Clone(iso)
	copy(boot, bytes.Repeat([]byte("\xeb\x3c\x90"), 170))
	copy(boot[510:], "\x55\xaa")
	udf := archivetest.ReadFile(t, "iso/testdata/udf-bridge.iso.gz")
	at := bytes.Index(udf, []byte("\x00BEA01"))
	copy(udf[16*2048:], udf[at:at+3*2048])
	clear(udf[19*2048 : at+3*2048])
	for name, image := range map[string][]byte{"raw": raw, "boot": boot, "udf": udf} {
		for how, data := range map[string][]byte{
			"bare": image, "zip": build.Zip(t, build.Inner("x", image, false)), "mail": build.Attach("x", image),
			"xz": build.XZ(t, image), "gzip": build.Gzip(t, "x", image), "zip stored": build.Zip(t, build.Inner("x", image, true)),
		} {
			r := scan(t, b, data)
			if r.Category != backends.Encrypted || !strings.HasSuffix(r.Detail, `member "deep/er/enc.zip" in iso: `+locked) {
				t.Errorf("%s in %s: %+v", name, how, r)
			}
		}
	}
}

// TestLookalikes checks that a file that only begins like a container is ok.
func TestLookalikes(t *testing.T) {
	b := open(t, nil)
	random := rand.New(rand.NewPCG(3, 4))
	garbage := make([]byte, 3000)
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	for name, begin := range map[string]string{
		"zstd":            "\x28\xb5\x2f\xfd\xff\xff",
		"skippable frame": "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd",
		"lz4":             "\x04\x22\x4d\x18\xff\xff",
		"compress":        "\x1f\x9d\x90",
		"cpio":            "\xc7\x71",
		"cpio swapped":    "\x71\xc7",
		"cpio odc":        "070707 and more of it",
		"lha":             "\x20\x00-lh5-",
		"lzma":            "\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00",
		"lzma of zeros":   "\x00\x00\x10\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00",
		"cab":             "MSCFxxxx",
		"ar":              "!<thin>\n",
		"ustar":           string(make([]byte, 257)) + "ustar\x0000",
		"raw sectors":     "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x02\x00\x01",
		"program":         "MZ" + string(make([]byte, 200)) + "MSCF\x00\x00\x00\x00" + string(make([]byte, 16)) + "\x03\x01",
	} {
		for _, tail := range [][]byte{garbage, make([]byte, 3000)} {
			if r := scan(t, b, append([]byte(begin), tail...)); r.Category != backends.OK {
				t.Errorf("%s: %+v", name, r)
			}
		}
	}
}

package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
)

// zeroReader is an endless reader of zero bytes.
type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// bombs returns small files that unpack to large ones.
func bombs(t *testing.T) map[string][]byte {
	t.Helper()
	const large = 32 << 20 // more than TestBombs allows
	pack := func(begin []byte, n int64, w io.WriteCloser, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(w, io.MultiReader(bytes.NewReader(begin), io.LimitReader(zeroReader{}, n))); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// Begins like a tar archive with one large file, so that everything is unpacked.
	header := build.TarV7(build.Text("a"), build.File{Name: "b", Data: nil})[:1024]
	all := make(map[string][]byte)
	for name, begin := range map[string][]byte{"zeros": nil, "tar": header} {
		var x, z bytes.Buffer
		xw, err := xz.NewWriter(&x)
		pack(begin, large/16, xw, err)
		zw, err := zstd.NewWriter(&z, zstd.WithEncoderConcurrency(1))
		pack(begin, large, zw, err)
		all["xz of "+name] = bytes.Repeat(x.Bytes(), 16)
		all["zstd of "+name] = z.Bytes()
		all["zstd of "+name+", ten times"] = bytes.Repeat(z.Bytes(), 10)
		all["lz4 of "+name] = lz4Bomb(begin)
	}
	deep := build.Zip(t, build.Locked("x"))
	for i := range 40 {
		if i%2 == 0 {
			deep = build.XZ(t, deep)
		} else {
			deep = build.Zstd(t, deep)
		}
	}
	all["deep"] = deep
	all["xz blocks"] = xzBlocks(t)
	all["iso of a million"] = manyISO(1_000_000)
	all["iso of itself"] = selfISO()
	all["tar of a million"] = bytes.Repeat(build.TarV7(build.File{Name: "a"})[:512], 1_000_000/8)
	all["ar of a million"] = append([]byte("!<arch>\n"), bytes.Repeat(build.Ar(build.File{Name: "a"})[8:], 1_000_000/8)...)
	all["cab backwards"] = backwardsCab(t)
	return all
}

// lz4Bomb returns a file with one block whose last match is enormous.
func lz4Bomb(begin []byte) []byte {
	var block []byte
	block = append(block, 0xff)
	n := len(begin) + 1
	for n -= 15; n >= 255; n -= 255 {
		block = append(block, 255)
	}
	block = append(block, byte(max(n, 0)))
	block = append(append(block, begin...), 0)
	if len(begin) == 0 {
		block = []byte{0x1f, 0}
	}
	block = append(block, 1, 0)
	block = append(block, bytes.Repeat([]byte{255}, 4<<20)...)
	block = append(block, 0)
	b := binary.LittleEndian.AppendUint32([]byte("\x04\x22\x4d\x18\x40\x70\xc0"), uint32(len(block)))
	return append(b, block...)
}

// xzBlocks returns many streams of one small block, each asking for a dictionary of 4 GiB,
// with a truncated index.
func xzBlocks(t *testing.T) []byte {
	t.Helper()
	one := build.XZ(t, build.TarV7(build.Text("a"))[:1024])
	// The properties of LZMA2 follow the filter ID and their size.
	at := bytes.Index(one, []byte("\x21\x01"))
	one[at+2] = 40
	head := one[12 : 12+4*(int(one[12])+1)]
	binary.LittleEndian.PutUint32(head[len(head)-4:], crc32.ChecksumIEEE(head[:len(head)-4]))
	return append(bytes.Repeat(one, 2000), 0, 0, 0)
}

// manyISO returns an image with n entries in its root directory.
func manyISO(n int) []byte {
	const sector = 2048
	data := build.ISO(build.File{Name: "A", Data: make([]byte, 100)})
	record := slices.Clone(data[18*sector : 18*sector+int(data[18*sector])])
	each := sector / len(record)
	size := (n + each - 1) / each * sector
	binary.LittleEndian.PutUint32(data[16*sector+156+2:], uint32(len(data)/sector))
	binary.LittleEndian.PutUint32(data[16*sector+156+10:], uint32(size))
	page := make([]byte, sector)
	for i := range each {
		copy(page[i*len(record):], record)
	}
	for i := range size / sector {
		// Make every file different.
		for k := range each {
			binary.LittleEndian.PutUint32(page[k*len(record)+10:], uint32(16+(i*each+k)%4096))
		}
		data = append(data, page...)
	}
	return data
}

// selfISO returns an image with directories that contain themselves, each with a different
// size.
func selfISO() []byte {
	const sector = 2048
	data := build.ISO(build.File{Name: "A", Data: make([]byte, 100)})
	record := slices.Clone(data[18*sector : 18*sector+int(data[18*sector])])
	record[25] = 2
	root := data[18*sector : 19*sector]
	for i := range 40 {
		binary.LittleEndian.PutUint32(record[2:], 18)
		binary.LittleEndian.PutUint32(record[10:], uint32(sector-i))
		copy(root[i*len(record):], record)
	}
	return data
}

// backwardsCab returns a cabinet with a folder of 4 MiB whose files are listed back to
// front.
func backwardsCab(t *testing.T) []byte {
	t.Helper()
	var files []build.File
	for i := range 2000 {
		files = append(files, build.File{Name: fmt.Sprint(i), Data: make([]byte, 2048)})
	}
	data := build.Cab(t, true, files...)
	list := data[44:]
	for i, at := 0, 0; i < len(files); i++ {
		binary.LittleEndian.PutUint32(list[at+4:], uint32((len(files)-1-i)*2048))
		at += 16 + len(files[i].Name) + 1
	}
	return data
}

// TestBombs checks that bombs end within their budgets, and are never ok if a limit ended
// the scan. A bomb that unpacks to zeros is ok once its beginning is known.
func TestBombs(t *testing.T) {
	fine := map[string]bool{"xz of zeros": true, "zstd of zeros": true, "zstd of zeros, ten times": true, "lz4 of zeros": true, "iso of itself": true, "cab backwards": false}
	b := open(t, func(c *Config) { c.MaxBytes = 24 << 20 })
	all := bombs(t)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			data := all[name]
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			r := scan(t, b, data)
			runtime.ReadMemStats(&after)
			allocated := after.TotalAlloc - before.TotalAlloc
			t.Logf("table: %-28s %9d bytes, %9d allocated: %v %s", name, len(data), allocated, r.Category, r.Detail)
			if allocated > 48<<20 {
				t.Errorf("%d bytes allocated", allocated)
			}
			if r.Category != backends.Partial && !(fine[name] && r.Category == backends.OK) {
				t.Errorf("%+v", r)
			}
		})
	}
}

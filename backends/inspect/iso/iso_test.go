package iso

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

const (
	hello = " 27 85143c00"
	enc   = " 156 c8e498fc"
	none  = " 0 e3b0c442"
)

func TestSamples(t *testing.T) {
	archivetest.Samples(t, func(data []byte) bool { return Matches(bytes.NewReader(data)) }, Members, map[string][]string{
		"plain.iso.gz":       {"DEEP" + none, "FOLDER_W" + none, "HELLO.TXT" + hello, "FOLDER_W/A_FILE_W.TEX" + hello, "DEEP/ER" + none, "DEEP/ER/ENC.ZIP" + enc},
		"rock.iso.gz":        {"deep" + none, "Folder with a long name" + none, "hello.txt" + hello, "Folder with a long name/A file with a long name.text" + hello, "deep/er" + none, "deep/er/enc.zip" + enc},
		"joliet.iso.gz":      {"Folder with a long name" + none, "deep" + none, "hello.txt" + hello, "deep/er" + none, "deep/er/enc.zip" + enc, "Folder with a long name/A file with a long name.text" + hello, "DEEP" + none, "FOLDER_W" + none, "DEEP/ER" + none},
		"joliet-rock.iso.gz": {"Folder with a long name" + none, "deep" + none, "hello.txt" + hello, "deep/er" + none, "deep/er/enc.zip" + enc, "Folder with a long name/A file with a long name.text" + hello, "deep" + none, "Folder with a long name" + none, "deep/er" + none},
		"hidden.iso.gz":      {"Folder with a long name" + none, "deep" + none, "deep/er" + none, "deep/er/enc.zip" + enc, "Folder with a long name/A file with a long name.text" + hello, "DEEP" + none, "FOLDER_W" + none, "HELLO.TXT" + hello, "DEEP/ER" + none},
		"xorriso.iso.gz":     {"Folder with a long name" + none, "deep" + none, "hello.txt" + hello, "deep/er" + none, "deep/er/enc.zip" + enc, "Folder with a long name/A file with a long name.text" + hello, "deep" + none, "Folder with a long name" + none, "deep/er" + none},
		"udf-bridge.iso.gz":  {"DEEP" + none, "FOLDER_W" + none, "HELLO.TXT" + hello, "FOLDER_W/A_FILE_W.TEX" + hello, "DEEP/ER" + none, "DEEP/ER/ENC.ZIP" + enc, "Folder with a long name" + none, "deep" + none, "deep/er" + none},
	})
}

// disc builds ISO 9660 images.
type disc struct{ b []byte }

// newDisc returns an image whose root directory is at block 20.
func newDisc(blocks int) *disc {
	d := &disc{make([]byte, blocks*sectorSize)}
	pvd := d.b[SystemArea:]
	copy(pvd, "\x01CD001\x01")
	binary.LittleEndian.PutUint16(pvd[128:], sectorSize)
	copy(pvd[156:], record("\x00", 20, sectorSize, 2))
	copy(d.b[SystemArea+sectorSize:], "\xffCD001\x01")
	return d
}

func (d *disc) put(block int, parts ...[]byte) *disc {
	copy(d.b[block*sectorSize:], bytes.Join(parts, nil))
	return d
}

func record(name string, block, size uint32, flags byte) []byte {
	b := make([]byte, (33+len(name)+1)&^1)
	b[0] = byte(len(b))
	binary.LittleEndian.PutUint32(b[2:], block)
	binary.LittleEndian.PutUint32(b[10:], size)
	b[25] = flags
	b[32] = byte(len(name))
	copy(b[33:], name)
	return b
}

func TestHostile(t *testing.T) {
	const dir, more = 2, 0x80
	a := record("A.;1", 22, 5, 0)
	change := func(b []byte, at int, v byte) []byte {
		b = slices.Clone(b)
		b[at] = v
		return b
	}
	for name, c := range map[string]struct {
		disc *disc
		want []string
	}{
		"a file":                   {newDisc(30).put(20, a).put(22, []byte("hello")), []string{"A 5 2cf24dba"}},
		"twice":                    {newDisc(30).put(20, a, record("B", 22, 5, 0)).put(22, []byte("hello")), []string{"A 5 2cf24dba"}},
		"the root in itself":       {newDisc(30).put(20, record("R", 20, sectorSize, dir), a).put(22, []byte("hello")), []string{"R" + none, "A 5 2cf24dba"}},
		"two in a circle":          {newDisc(30).put(20, record("X", 21, sectorSize, dir)).put(21, record("Y", 20, sectorSize, dir)), []string{"X" + none, "X/Y" + none}},
		"overlapping circle":       {newDisc(30).put(20, record("X", 20, sectorSize-1, dir)), []string{"X" + none, "X/X" + none}},
		"directory beyond the end": {newDisc(30).put(20, record("X", 1<<32-1, 1<<32-1, dir)), []string{"X" + none, "X: cut off"}},
		"file beyond the end":      {newDisc(30).put(20, record("X", 1<<32-1, 5, 0)), []string{"X: cut off"}},
		"file too large":           {newDisc(23).put(20, record("X", 22, 1<<32-1, 0)), []string{fmt.Sprintf("X %d e5a00aa9", sectorSize), "X: cut off"}},
		"interleaved":              {newDisc(30).put(20, change(a, 26, 1)), []string{"A: interleaved, which is not supported"}},
		"record too long":          {newDisc(30).put(20, change(a, 32, 200), a), []string{": damaged directory"}},
		"record too short":         {newDisc(30).put(20, change(a, 0, 5)), []string{": damaged directory"}},
		"two extents":              {newDisc(30).put(20, record("X", 24, 5, more), record("X", 22, 5, 0)).put(22, []byte("world")).put(24, []byte("hello")), []string{"X 10 936a185c"}},
		"extents in a row":         {newDisc(30).put(20, record("X", 22, sectorSize, more), record("X", 23, 5, 0)), []string{"X 2053 4667ede8"}},
		"extents with no end":      {newDisc(60).put(20, bytes.Repeat(record("X", 22, 5, more), 2)).put(22, []byte("hello")), []string{" 10 0a86050f", ": damaged directory"}},
		"extents without end":      {manyExtents(), []string{"Y: too many extents"}},
		"attributes":               {newDisc(30).put(20, change(record("X", 21, 5, 0), 1, 1)).put(22, []byte("hello")), []string{"X 5 2cf24dba"}},
		"name with NUL":            {newDisc(30).put(20, record("A\x00B", 22, 5, 0)).put(22, []byte("hello")), []string{"A 5 2cf24dba"}},
		"zisofs":                   {newDisc(30).put(20, record("X", 22, 8, 0)).put(22, []byte(zisofs)), []string{"X 8 f4298ba2", "X: compressed by zisofs, which is not supported"}},
		"UDF":                      {newDisc(30).put(18, []byte("\x00BEA01")).put(19, []byte("\x00NSR02")).put(20, a).put(22, []byte("hello")), []string{"A 5 2cf24dba", ": cut off"}},
		"descriptors alone":        {&disc{newDisc(17).b[:SystemArea+100]}, nil},
		"too many":                 {&disc{append(make([]byte, SystemArea), bytes.Repeat(newDisc(17).b[SystemArea:], 100)...)}, []string{": too many volumes", ": damaged directory"}},
	} {
		t.Run(name, func(t *testing.T) { archivetest.Want(t, c.disc.b, Members, c.want...) })
	}
}

// manyExtents returns an image with a file of more extents than supported.
func manyExtents() *disc {
	d := newDisc(60)
	copy(d.b[SystemArea+156:], record("\x00", 20, 20*sectorSize, 2))
	for i := range 10 {
		d.put(20+i, bytes.Repeat(record("X", 50, 5, 0x80), 50))
	}
	return d.put(30, record("Y", 50, 5, 0))
}

func TestNames(t *testing.T) {
	for name, c := range map[string]struct {
		record []byte
		joliet bool
		want   string
	}{
		"plain":          {record("README.TXT;1", 0, 0, 0), false, "README.TXT"},
		"no extension":   {record("README.;1", 0, 0, 0), false, "README"},
		"no version":     {record("a;b", 0, 0, 0), false, "a;b"},
		"Joliet":         {record("\x00\xe4\x20\xac\x00;\x001", 0, 0, 0), true, "ä€"},
		"odd":            {record("\x00a\x00", 0, 0, 0), true, "a"},
		"long":           {record(strings.Repeat("x", 200), 0, 0, 0), false, strings.Repeat("x", 200)},
		"Rock Ridge":     {append(record("X", 0, 0, 0), "NM\x09\x01\x01read"+"NM\x07\x01\x00me"...), false, "readme"},
		"broken entries": {append(record("X", 0, 0, 0), "NM\xff\x01\x00me"...), false, "X"},
		"empty entries":  {append(record("X", 0, 0, 0), "NM\x00\x01\x00me"...), false, "X"},
	} {
		w := &reader{volume: &volume{joliet: c.joliet}}
		if got := w.path(c.record, c.record[33:33+c.record[32]]); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, Members) }

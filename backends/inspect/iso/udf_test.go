package iso

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

// pureUDF removes the ISO 9660 tree from an image that has both.
func pureUDF(t *testing.T) []byte {
	t.Helper()
	data := archivetest.Read(t, "udf-bridge.iso.gz")
	at := bytes.Index(data, []byte("\x00BEA01"))
	if at < 0 || at%sectorSize != 0 {
		t.Fatal(at)
	}
	for sector := range 3 {
		copy(data[SystemArea+sector*sectorSize:], data[at+sector*sectorSize:at+(sector+1)*sectorSize])
	}
	clear(data[SystemArea+3*sectorSize : at+3*sectorSize])
	return data
}

var udfFiles = []string{
	"Folder with a long name" + none,
	"deep" + none,
	"hello.txt" + hello,
	"deep/er" + none,
	"deep/er/enc.zip" + enc,
	"Folder with a long name/A file with a long name.text" + hello,
}

func TestUDF(t *testing.T) {
	data := pureUDF(t)
	if !Matches(bytes.NewReader(data)) {
		t.Error("does not match")
	}
	archivetest.Want(t, data, Members, udfFiles...)
}

// find returns the offset of the nth descriptor with this tag.
func find(t *testing.T, data []byte, tag uint16, n int) int {
	t.Helper()
	for at := SystemArea; at < len(data); at += sectorSize {
		if binary.LittleEndian.Uint16(data[at:]) == tag && tagSum(data[at:]) == data[at+4] && data[at+2] != 0 {
			if n--; n < 0 {
				return at
			}
		}
	}
	t.Fatalf("no descriptor %d", tag)
	return 0
}

func tagSum(b []byte) (sum byte) {
	for i, c := range b[:16] {
		if i != 4 {
			sum += c
		}
	}
	return sum
}

func TestHostileUDF(t *testing.T) {
	const damaged = ": damaged UDF file system"
	put32 := func(tag uint16, n, at int, v uint32) func(b []byte) {
		return func(b []byte) { binary.LittleEndian.PutUint32(b[find(t, b, tag, n)+at:], v) }
	}
	for name, c := range map[string]struct {
		change func(b []byte)
		want   []string
	}{
		"no anchor":                {func(b []byte) { clear(b[256*sectorSize : 257*sectorSize]) }, []string{damaged}},
		"volume beyond the end":    {put32(tagAnchor, 0, 20, 1<<32-1), []string{": cut off"}},
		"volume of 4 GiB":          {put32(tagAnchor, 0, 16, 1<<32-1), udfFiles},
		"no volume":                {put32(tagAnchor, 0, 16, 0), []string{damaged}},
		"other blocks":             {put32(tagVolume, 0, 212, 512), []string{damaged}},
		"other partition":          {func(b []byte) { b[find(t, b, tagVolume, 0)+440] = 2 }, []string{": UDF with a partition of a kind that is not supported"}},
		"no such partition":        {func(b []byte) { b[find(t, b, tagVolume, 0)+444] = 9 }, []string{damaged}},
		"many partitions":          {put32(tagVolume, 0, 268, 1<<32-1), []string{": UDF with a partition of a kind that is not supported"}},
		"partition beyond the end": {put32(tagPartition, 0, 188, 1<<32-1), []string{": cut off"}},
		"file set beyond the end":  {put32(tagVolume, 0, 252, 1<<32-1), []string{": cut off"}},
		"root beyond the end":      {put32(tagFileSet, 0, 404, 1<<32-1), []string{": cut off"}},
		"root is not an entry":     {put32(tagFileSet, 0, 404, 0), []string{damaged}},
		"attributes of 4 GiB":      {put32(tagEntry, 0, 168, 1<<32-1), []string{damaged}},
		"extents of 4 GiB":         {put32(tagEntry, 0, 172, 1<<32-1), []string{damaged}},
		"size of 2^63":             {put32(tagEntry, 0, 60, 1<<31), []string{damaged}},
		"extents of a new kind":    {func(b []byte) { b[find(t, b, tagEntry, 0)+34] |= 7 }, []string{": UDF extents of a kind that is not supported"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := pureUDF(t)
			c.change(data)
			archivetest.Want(t, data, Members, c.want...)
		})
	}
}

// udfImage returns a UDF file system for testing extent lists.
func udfImage(blocks map[uint32][]byte) *udf {
	data := make([]byte, 64*sectorSize)
	for n, b := range blocks {
		copy(data[n*sectorSize:], b)
		data[n*sectorSize+4] = tagSum(data[n*sectorSize:])
	}
	return &udf{image: &image{r: bytes.NewReader(data), size: int64(len(data))}, maps: []int64{0}}
}

func short(size, block uint32) []byte {
	return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, size), block)
}

func list(extents ...[]byte) []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint16(b, tagExtents)
	return append(b, slices.Concat(extents...)...)
}

func TestExtents(t *testing.T) {
	const continued = 3 << 30
	for name, c := range map[string]struct {
		list   []byte
		blocks map[uint32][]byte
		want   []extent
		ok     bool
	}{
		"two":                      {slices.Concat(short(10, 2), short(20, 3)), nil, []extent{{2 * sectorSize, 10}, {3 * sectorSize, 20}}, true},
		"end":                      {slices.Concat(short(10, 2), short(0, 0), short(20, 3)), nil, []extent{{2 * sectorSize, 10}}, true},
		"hole":                     {short(1<<30|10, 0), nil, []extent{{-1, 10}}, true},
		"continued":                {slices.Concat(short(10, 2), short(continued|2048, 5)), map[uint32][]byte{5: list(short(20, 3))}, []extent{{2 * sectorSize, 10}, {3 * sectorSize, 20}}, true},
		"continued in a loop":      {short(continued|2048, 5), map[uint32][]byte{5: list(short(continued|2048, 5))}, nil, false},
		"continued beyond the end": {short(continued|2048, 1<<32-1), nil, nil, false},
		"continued nowhere":        {short(continued|2048, 9), nil, nil, false},
	} {
		f := new(udfFile)
		err := udfImage(c.blocks).extents(f, c.list, false, 0)
		if (err == nil) != c.ok || c.ok && !slices.Equal(f.extents, c.want) {
			t.Errorf("%s: %v, %v", name, f.extents, err)
		}
	}
	many := bytes.Repeat(short(1, 1), maxUDFExtents+1)
	if err := udfImage(nil).extents(new(udfFile), many, false, 0); err == nil {
		t.Error("too many extents accepted")
	}
}

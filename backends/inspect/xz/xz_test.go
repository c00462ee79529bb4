package xz

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/archive/archivetest"
)

var (
	format = archivetest.Stream{Open: NewReader, Matches: Matches}
	lzmas  = archivetest.Stream{Open: NewLZMAReader, Matches: MatchesLZMA}
)

func TestSamples(t *testing.T) {
	format.Samples(t, map[string]string{
		"enc.zip.xz":        archivetest.ZipLine,
		"text-sha256.xz":    archivetest.TextLine,
		"text-none.xz":      archivetest.TextLine,
		"text-blocks.xz":    archivetest.TextLine,
		"text-streams.xz":   archivetest.TextLine,
		"text-7z.xz":        archivetest.TextLine,
		"text-delta.xz":     archivetest.TextLine,
		"text-delta-256.xz": archivetest.TextLine,
		"text-x86.xz":       archivetest.TextLine,
		"text-arm64.xz":     archivetest.TextLine,
	})
	lzmas.Samples(t, map[string]string{
		"enc.zip.lzma":    archivetest.ZipLine,
		"text-eos.lzma":   archivetest.TextLine,
		"text-props.lzma": archivetest.TextLine,
	})
}

func TestLargestBlock(t *testing.T) {
	blocks := archivetest.Read(t, "text-blocks.xz")
	streams := archivetest.Read(t, "text-streams.xz")
	for name, c := range map[string]struct {
		data []byte
		want int64
	}{
		"blocks":  {blocks, 5000},
		"streams": {streams, 21199 - 100},
		"cut off": {blocks[:len(blocks)-1], int64(len(blocks)-1) * maxRatio},
		"tail":    {blocks[10:], int64(len(blocks)-10) * maxRatio},
		"nothing": {nil, 0},
	} {
		if got := largestBlock(bytes.NewReader(c.data), int64(len(c.data))); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestCutOff(t *testing.T) {
	format.CutOff(t, "enc.zip.xz")
	format.CutOff(t, "text-blocks.xz")
	lzmas.CutOff(t, "enc.zip.lzma")
}

func TestHostile(t *testing.T) {
	format.Changed(t, "text-none.xz", map[string]archivetest.Change{
		"stream header damaged": {func(b []byte) []byte { b[8] ^= 1; return b }, archivetest.EmptyLine + ": damaged"},
		"block header damaged":  {func(b []byte) []byte { b[16] ^= 1; return b }, archivetest.EmptyLine + ": damaged"},
		"trailing data":         {func(b []byte) []byte { return append(b, "PK\x03\x04"...) }, archivetest.TextLine + ": unknown data after the end"},
		"little padding":        {func(b []byte) []byte { return append(b, 0) }, archivetest.TextLine + ": cut off"},
		"padding":               {func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, archivetest.TextLine},
		"header alone":          {func(b []byte) []byte { return b[:12] }, archivetest.EmptyLine + ": cut off"},
		"nothing":               {func(b []byte) []byte { return nil }, archivetest.EmptyLine + ": cut off"},
	})
}

// tables is the memory that a decoder needs beyond its dictionary.
const tables = 128 << 10

// TestDictionary checks that no more memory is used than the file can need.
func TestDictionary(t *testing.T) {
	for name, c := range map[string]struct {
		open archive.Opener
		most int64
	}{
		"text-sha256.xz": {NewReader, 21199 + tables},      // asks for 64 MiB
		"enc.zip.xz":     {NewReader, 4096 + tables},       // asks for 8 MiB
		"text-blocks.xz": {NewReader, 5 * (5000 + tables)}, // asks for 256 KiB five times
		"text-eos.lzma":  {NewLZMAReader, 16<<10 + tables}, // asks for 64 MiB
		"enc.zip.lzma":   {NewLZMAReader, 16<<10 + tables}, // asks for 8 MiB
	} {
		data, used := archivetest.Read(t, name), int64(0)
		r := c.open(bytes.NewReader(data), int64(len(data)), func(n int64) error { used += n; return nil })
		if _, err := io.Copy(io.Discard, r); err != nil || used > c.most {
			t.Errorf("%s: %d bytes, at most %d wanted; %v", name, used, c.most, err)
		}
	}
}

// TestProbe checks that the requested dictionary is allocated only when more than the
// beginning of a file is read.
func TestProbe(t *testing.T) {
	// The data repeats at a distance beyond the small dictionary.
	random := rand.New(rand.NewPCG(1, 2))
	part := make([]byte, 3*probeDictionary)
	for i := range part {
		part[i] = byte(random.Uint32())
	}
	want := slices.Concat(part, part)
	for name, c := range map[string]struct {
		pack func(w io.Writer) (io.WriteCloser, error)
		open archive.Opener
	}{
		"xz":   {func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) }, NewReader},
		"lzma": {func(w io.Writer) (io.WriteCloser, error) { return lzma.NewWriter(w) }, NewLZMAReader},
	} {
		var packed bytes.Buffer
		w, err := c.pack(&packed)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		largest := int64(0)
		r := c.open(bytes.NewReader(packed.Bytes()), int64(packed.Len()), func(n int64) error { largest = max(largest, n); return nil })
		head := make([]byte, probeSize)
		if _, err := io.ReadFull(r, head); err != nil || largest > probeDictionary+tables {
			t.Errorf("%s: %v with %d bytes", name, err, largest)
		}
		rest, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(append(head, rest...), want) {
			t.Errorf("%s: wrong bytes, %v", name, err)
		}
		if largest < int64(len(part)) {
			t.Errorf("%s: charged only %d bytes", name, largest)
		}
	}
}

func TestMatchesLZMA(t *testing.T) {
	header := func(properties byte, dictionary uint32, size uint64) []byte {
		h := []byte{properties, byte(dictionary), byte(dictionary >> 8), byte(dictionary >> 16), byte(dictionary >> 24)}
		for range 8 {
			h, size = append(h, byte(size)), size>>8
		}
		return append(h, 0)
	}
	for name, c := range map[string]struct {
		head []byte
		want bool
	}{
		"usual":          {header(0x5d, 1<<23, 1<<64-1), true},
		"with a size":    {header(0x5d, 3<<22, 1000), true},
		"largest":        {header(0x5d, 1<<32-1, 1000), true},
		"2 GiB":          {header(0x5d, 1<<31, 1000), true},
		"huge size":      {header(0x5d, 1<<23, 1<<39), false},
		"no size":        {header(0x5d, 1<<23, 0), false},
		"odd dictionary": {header(0x5d, 1<<23+1, 1000), false},
		"small":          {header(0x5d, 1<<11, 1000), false},
		"properties":     {header(225, 1<<23, 1000), false},
		"no start":       {append(header(0x5d, 1<<23, 1000)[:lzma.HeaderLen], 1), false},
		"short":          {header(0x5d, 1<<23, 1000)[:lzma.HeaderLen], false},
		"zeros":          {make([]byte, 100), false},
	} {
		if got := MatchesLZMA(c.head); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzReader(f *testing.F)     { format.Fuzz(f) }
func FuzzLZMAReader(f *testing.F) { lzmas.Fuzz(f) }

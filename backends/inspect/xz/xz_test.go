package xz

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ulikunitz/xz"
	"github.com/ulikunitz/xz/lzma"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

const (
	zipLine  = " 156 c8e498fc"
	textLine = " 21199 a84a1f88"
	nothing  = " 0 e3b0c442"
)

func TestSamples(t *testing.T) {
	for name, want := range map[string]string{
		"enc.zip.xz":        zipLine,
		"text-sha256.xz":    textLine,
		"text-none.xz":      textLine,
		"text-blocks.xz":    textLine,
		"text-streams.xz":   textLine,
		"text-7z.xz":        textLine,
		"text-delta.xz":     textLine,
		"text-delta-256.xz": textLine,
		"text-x86.xz":       textLine,
		"text-arm64.xz":     textLine,
	} {
		if got := archivetest.Unpack(archivetest.Read(t, name), NewReader); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"enc.zip.lzma":    zipLine,
		"text-eos.lzma":   textLine,
		"text-props.lzma": textLine,
	} {
		data := archivetest.Read(t, name)
		if !MatchesLZMA(data) {
			t.Errorf("%s does not match", name)
		}
		if got := archivetest.Unpack(data, NewLZMAReader); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
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

// TestCutOff wants an error wherever a file ends too early.
func TestCutOff(t *testing.T) {
	for _, name := range []string{"enc.zip.xz", "text-blocks.xz"} {
		data := archivetest.Read(t, name)
		for n := 0; n < len(data); n += 1 + len(data)/200 {
			r := NewReader(bytes.NewReader(data), int64(n), func(int64) error { return nil })
			if _, err := io.Copy(io.Discard, r); err == nil {
				t.Errorf("%s: no error after %d of %d bytes", name, n, len(data))
			}
		}
	}
	data := archivetest.Read(t, "enc.zip.lzma")
	for n := range data {
		r := NewLZMAReader(bytes.NewReader(data), int64(n), func(int64) error { return nil })
		if _, err := io.Copy(io.Discard, r); err == nil {
			t.Errorf("no error after %d of %d bytes", n, len(data))
		}
	}
}

func TestHostile(t *testing.T) {
	file := archivetest.Read(t, "text-none.xz")
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"stream header damaged": {func(b []byte) []byte { b[8] ^= 1; return b }, nothing + ": damaged"},
		"block header damaged":  {func(b []byte) []byte { b[16] ^= 1; return b }, nothing + ": damaged"},
		"something behind":      {func(b []byte) []byte { return append(b, "PK\x03\x04"...) }, textLine + ": unknown data after the end"},
		"little padding":        {func(b []byte) []byte { return append(b, 0) }, textLine + ": cut off"},
		"padding":               {func(b []byte) []byte { return append(b, make([]byte, 4096)...) }, textLine},
		"header alone":          {func(b []byte) []byte { return b[:12] }, nothing + ": cut off"},
		"nothing":               {func(b []byte) []byte { return nil }, nothing + ": cut off"},
	} {
		if got := archivetest.Unpack(c.change(slices.Clone(file)), NewReader); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// tables is what a decoder takes beyond its dictionary.
const tables = 128 << 10

// TestDictionary wants no more memory than the file can need.
func TestDictionary(t *testing.T) {
	for name, c := range map[string]struct {
		open archivetest.Opener
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

// TestProbe wants the dictionary that a file asks for only when more of it is
// read than its beginning.
func TestProbe(t *testing.T) {
	// Repeats itself after more than the small dictionary.
	random := rand.New(rand.NewPCG(1, 2))
	part := make([]byte, 3*probeDictionary)
	for i := range part {
		part[i] = byte(random.Uint32())
	}
	want := slices.Concat(part, part)
	for name, c := range map[string]struct {
		pack func(w io.Writer) (io.WriteCloser, error)
		open archivetest.Opener
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
			t.Errorf("%s: other bytes, %v", name, err)
		}
		if largest < int64(len(part)) {
			t.Errorf("%s: charged %d bytes only", name, largest)
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

func FuzzReader(f *testing.F)     { archivetest.FuzzStream(f, NewReader) }
func FuzzLZMAReader(f *testing.F) { archivetest.FuzzStream(f, NewLZMAReader) }

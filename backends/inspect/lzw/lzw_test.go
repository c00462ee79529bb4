package lzw

import (
	"bytes"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

var format = archivetest.Stream{Open: NewReader, Matches: Matches}

func TestSamples(t *testing.T) {
	format.Samples(t, map[string]string{
		"enc.zip.Z": archivetest.ZipLine,
		"text.Z":    archivetest.TextLine,
		"text-12.Z": archivetest.TextLine,
		"two-10.Z":  " 39922 02fc13c9", // with its table cleared
	})
}

func TestHostile(t *testing.T) {
	format.Changed(t, "enc.zip.Z", map[string]archivetest.Change{
		"20 bits":          {func(b []byte) []byte { b[2] = 0x80 | 20; return b }, archivetest.EmptyLine + ": codes of more than 16 bits"},
		"8 bits":           {func(b []byte) []byte { b[2] = 0x80 | 8; return b }, archivetest.EmptyLine + ": damaged"},
		"first not a byte": {func(b []byte) []byte { b[4] |= 1; return b }, archivetest.EmptyLine + ": damaged"},
		"undefined code":   {func(b []byte) []byte { return []byte("\x1f\x9d\x90a\xfe\xff\xff") }, " 1 ca978112: damaged"},
		"header alone":     {func(b []byte) []byte { return b[:3] }, archivetest.EmptyLine},
		"half a header":    {func(b []byte) []byte { return b[:2] }, archivetest.EmptyLine + ": cut off"},
		"nothing":          {func(b []byte) []byte { return nil }, archivetest.EmptyLine + ": cut off"},
	})
}

// TestCycle checks that unpacking ends when codes from before a clear refer to each other.
func TestCycle(t *testing.T) {
	var w bits
	for _, code := range []int{'a', 'b', 'c', 258, clear} {
		w.write(code)
	}
	w.pad(8)
	for range 8 { // the first new code is 256, derived from the code before the clear
		w.write(258)
	}
	data := append([]byte("\x1f\x9d\x90"), w.b...)
	format.Unpack(data)
	format.Unpack(bytes.Repeat(data, 3))
}

// bits writes 9-bit codes.
type bits struct {
	b []byte
	n int
}

func (w *bits) write(code int) {
	for i := range firstBits {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.b[w.n/8] |= byte(code>>i&1) << (w.n % 8)
		w.n++
	}
}

func (w *bits) pad(codes int) {
	for w.n%(codes*firstBits) != 0 {
		if w.n%8 == 0 {
			w.b = append(w.b, 0)
		}
		w.n++
	}
}

func FuzzReader(f *testing.F) { format.Fuzz(f) }

package lzw

import (
	"bytes"
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

const (
	zipLine  = " 156 c8e498fc"
	textLine = " 21199 a84a1f88"
	nothing  = " 0 e3b0c442"
)

func TestSamples(t *testing.T) {
	for name, want := range map[string]string{
		"enc.zip.Z": zipLine,
		"text.Z":    textLine,
		"text-12.Z": textLine,
		"two-10.Z":  " 39922 02fc13c9", // with its table cleared
	} {
		data := archivetest.Read(t, name)
		if !Matches(data) {
			t.Errorf("%s does not match", name)
		}
		if got := archivetest.Unpack(data, NewReader); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestHostile(t *testing.T) {
	file := archivetest.Read(t, "enc.zip.Z")
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"20 bits":          {func(b []byte) []byte { b[2] = 0x80 | 20; return b }, nothing + ": codes of more than 16 bits"},
		"8 bits":           {func(b []byte) []byte { b[2] = 0x80 | 8; return b }, nothing + ": damaged"},
		"first not a byte": {func(b []byte) []byte { b[4] |= 1; return b }, nothing + ": damaged"},
		"code not there":   {func(b []byte) []byte { return []byte("\x1f\x9d\x90a\xfe\xff\xff") }, " 1 ca978112: damaged"},
		"header alone":     {func(b []byte) []byte { return b[:3] }, nothing},
		"half a header":    {func(b []byte) []byte { return b[:2] }, nothing + ": cut off"},
		"nothing":          {func(b []byte) []byte { return nil }, nothing + ": cut off"},
	} {
		if got := archivetest.Unpack(c.change(slices.Clone(file)), NewReader); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestCircle wants an end where codes from before a clear refer to each other.
func TestCircle(t *testing.T) {
	var w bits
	for _, code := range []int{'a', 'b', 'c', 258, clear} {
		w.write(code)
	}
	w.pad(8)
	for range 8 { // the first new code is 256, made of what came before the clear
		w.write(258)
	}
	data := append([]byte("\x1f\x9d\x90"), w.b...)
	archivetest.Unpack(data, NewReader)
	archivetest.Unpack(bytes.Repeat(data, 3), NewReader)
}

// bits writes codes of nine bits.
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

func FuzzReader(f *testing.F) { archivetest.FuzzStream(f, NewReader) }

package inflate64

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"testing"
)

// TestDeflate unpacks plain Deflate, which differs only in the longest matches.
func TestDeflate(t *testing.T) {
	text := bytes.Repeat([]byte("a text with some words and no long repetition, "), 3)
	for level := range 10 {
		var packed bytes.Buffer
		w, err := flate.NewWriter(&packed, level)
		if err != nil {
			t.Fatal(err)
		}
		w.Write(text)
		w.Flush()
		w.Write(text[:50])
		w.Close()
		want := append(bytes.Clone(text), text[:50]...)
		got, err := io.ReadAll(NewReader(&packed))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("level %d: %q, %v", level, got, err)
		}
	}
}

// TestProgram unpacks output of 7-Zip: 200,000 bytes with distant and long matches.
func TestProgram(t *testing.T) {
	packed, err := os.ReadFile("testdata/numbers.deflate64")
	if err != nil {
		t.Fatal(err)
	}
	want := numbers()
	got, err := io.ReadAll(NewReader(bytes.NewReader(packed)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes, %v, want %d", len(got), err, len(want))
	}
	for n := range packed {
		if n < 200 || n%997 == 0 {
			if _, err := io.ReadAll(NewReader(bytes.NewReader(packed[:n]))); err != io.ErrUnexpectedEOF {
				t.Fatalf("%d of %d bytes: %v", n, len(packed), err)
			}
		}
	}
}

// numbers returns the bytes that 7-Zip packed for testdata.
func numbers() []byte {
	b := make([]byte, 200_000)
	state := uint32(1)
	for i := range b {
		switch {
		case i < 50_000:
			state = state*1664525 + 1013904223
			b[i] = byte(state >> 28)
		case i < 120_000:
			b[i] = b[i-50_000]
		default:
			b[i] = 'z'
		}
	}
	return b
}

func FuzzInflate64(f *testing.F) {
	f.Add([]byte("\x4b\x4c\x04\x00"))
	f.Add([]byte("\x01\x02\x00\xfd\xffab"))
	f.Fuzz(func(t *testing.T, data []byte) {
		// A match of 65,538 bytes takes at least one bit.
		n, _ := io.Copy(io.Discard, NewReader(bytes.NewReader(data)))
		if n > int64(len(data)+1)*8*65_538 {
			t.Errorf("%d bytes unpacked to %d", len(data), n)
		}
	})
}

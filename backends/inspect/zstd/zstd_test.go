package zstd

import (
	"bytes"
	"io"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

var format = archivetest.Stream{Open: NewReader, Matches: Matches}

func TestSamples(t *testing.T) {
	format.Samples(t, map[string]string{
		"enc.zip.zst":         archivetest.ZipLine,
		"text-stream.zst":     archivetest.TextLine,
		"text-19.zst":         archivetest.TextLine,
		"text-frames.zst":     archivetest.TextLine,
		"text-dictionary.zst": archivetest.EmptyLine + ": needs a dictionary",
		"text-long.zst":       archivetest.EmptyLine + ": " + archivetest.ErrMemory.Error(), // a window of 128 MiB
	})
}

func TestCutOff(t *testing.T) {
	for _, name := range []string{"enc.zip.zst", "text-19.zst"} {
		format.CutOff(t, name)
	}
}

func TestHostile(t *testing.T) {
	format.Changed(t, "enc.zip.zst", map[string]archivetest.Change{
		"trailing data":   {func(b []byte) []byte { return append(b, "PK\x03\x04 and so on, and on"...) }, archivetest.ZipLine + ": unknown data after the end"},
		"reserved bit":    {func(b []byte) []byte { b[4] |= 8; return b }, archivetest.EmptyLine + ": wrong format"},
		"old format":      {func(b []byte) []byte { b[0] = 0x27; return b }, archivetest.EmptyLine + ": format of Zstandard before 0.8"},
		"older format":    {func(b []byte) []byte { b[0] = 0x1e; return b }, archivetest.EmptyLine + ": format of Zstandard before 0.8"},
		"window of 2 TiB": {func(b []byte) []byte { return []byte("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00") }, archivetest.EmptyLine + ": window of more than 1 GiB"},
		"size of 2^64": {func(b []byte) []byte {
			return []byte("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00")
		}, archivetest.EmptyLine + ": window of more than 1 GiB"},
		"skipped too far":   {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffhello") }, archivetest.EmptyLine + ": cut off"},
		"skipped only":      {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello") }, archivetest.EmptyLine + ": wrong format"},
		"skipped, then LZ4": {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x01\x00\x00\x00h\x04\x22\x4d\x18") }, archivetest.EmptyLine + ": wrong format"},
		"nothing":           {func(b []byte) []byte { return nil }, archivetest.EmptyLine + ": wrong format"},
	})
}

// TestMemory checks that the window is charged only once for many frames.
func TestMemory(t *testing.T) {
	data := bytes.Repeat(archivetest.Read(t, "enc.zip.zst"), 1000)
	used := int64(0)
	r := NewReader(bytes.NewReader(data), int64(len(data)), func(n int64) error { used += n; return nil })
	if n, err := io.Copy(io.Discard, r); n != 156_000 || err != nil || used > 2<<20 {
		t.Errorf("%d bytes with %d bytes of memory, %v", n, used, err)
	}
}

func TestMatches(t *testing.T) {
	for head, want := range map[string]bool{
		"\x28\xb5\x2f\xfd1234": true,
		"\x22\xb5\x2f\xfd1234": true,
		"\x5a\x2a\x4d\x181234": true,
		"\x60\x2a\x4d\x181234": false,
		"\x28\xb5\x2f\xfd123":  false,
		"":                     false,
	} {
		if got := Matches([]byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

func FuzzReader(f *testing.F) { format.Fuzz(f) }

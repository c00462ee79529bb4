package zstd

import (
	"bytes"
	"io"
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
		"enc.zip.zst":         zipLine,
		"text-stream.zst":     textLine,
		"text-19.zst":         textLine,
		"text-frames.zst":     textLine,
		"text-dictionary.zst": nothing + ": needs a dictionary",
		"text-long.zst":       nothing + ": " + archivetest.ErrMemory.Error(), // a window of 128 MiB
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

func TestCutOff(t *testing.T) {
	for _, name := range []string{"enc.zip.zst", "text-19.zst"} {
		data := archivetest.Read(t, name)
		for n := 0; n < len(data); n += 1 + len(data)/200 {
			r := NewReader(bytes.NewReader(data), int64(n), func(int64) error { return nil })
			if _, err := io.Copy(io.Discard, r); err == nil {
				t.Errorf("%s: no error after %d of %d bytes", name, n, len(data))
			}
		}
	}
}

func TestHostile(t *testing.T) {
	file := archivetest.Read(t, "enc.zip.zst")
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"something behind": {func(b []byte) []byte { return append(b, "PK\x03\x04 and so on, and on"...) }, zipLine + ": unknown data after the end"},
		"reserved bit":     {func(b []byte) []byte { b[4] |= 8; return b }, nothing + ": not such a file"},
		"old format":       {func(b []byte) []byte { b[0] = 0x27; return b }, nothing + ": format of Zstandard before 0.8"},
		"older format":     {func(b []byte) []byte { b[0] = 0x1e; return b }, nothing + ": format of Zstandard before 0.8"},
		"window of 2 TiB":  {func(b []byte) []byte { return []byte("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00") }, nothing + ": window of more than 1 GiB"},
		"size of 2^64": {func(b []byte) []byte {
			return []byte("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00")
		}, nothing + ": window of more than 1 GiB"},
		"skipped too far":   {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffhello") }, nothing + ": cut off"},
		"skipped only":      {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello") }, nothing + ": not such a file"},
		"skipped, then LZ4": {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x01\x00\x00\x00h\x04\x22\x4d\x18") }, nothing + ": not such a file"},
		"nothing":           {func(b []byte) []byte { return nil }, nothing + ": not such a file"},
	} {
		if got := archivetest.Unpack(c.change(slices.Clone(file)), NewReader); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestMemory wants the window of many frames to be paid for once.
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

func FuzzReader(f *testing.F) { archivetest.FuzzStream(f, NewReader) }

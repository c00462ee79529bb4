package lz4

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
		"enc.zip.lz4":     zipLine,
		"text-linked.lz4": textLine,
		"text-9.lz4":      textLine,
		"text-legacy.lz4": textLine,
		"text-frames.lz4": textLine,
		"as.lz4":          " 300000 12e1b9b1",
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
	for _, name := range []string{"enc.zip.lz4", "text-linked.lz4"} {
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
	const header = "\x04\x22\x4d\x18\x40\x40\xc0"
	file := archivetest.Read(t, "enc.zip.lz4")
	for name, c := range map[string]struct {
		change func(b []byte) []byte
		want   string
	}{
		"something behind":  {func(b []byte) []byte { return append(b, "PK\x03\x04"...) }, zipLine + ": unknown data after the end"},
		"version":           {func(b []byte) []byte { b[4] |= 0x80; return b }, nothing + ": not such a file"},
		"dictionary":        {func(b []byte) []byte { b[4] |= 1; return b }, nothing + ": needs a dictionary"},
		"huge block":        {func(b []byte) []byte { return []byte(header + "\xff\xff\xff\x7f") }, nothing + ": damaged"},
		"huge stored block": {func(b []byte) []byte { return []byte(header + "\xff\xff\xff\xff") }, nothing + ": damaged"},
		"distance of 0":     {func(b []byte) []byte { return []byte(header + "\x05\x00\x00\x00\x14a\x00\x00\x00") }, " 1 ca978112: damaged"},
		"distance too far":  {func(b []byte) []byte { return []byte(header + "\x05\x00\x00\x00\x14a\x02\x00\x00") }, " 1 ca978112: damaged"},
		"too many literals": {func(b []byte) []byte { return []byte(header + "\x02\x00\x00\x00\x24ab\x00\x00") }, nothing + ": damaged"},
		"no distance":       {func(b []byte) []byte { return []byte(header + "\x03\x00\x00\x00\x14a\x00\x00") }, " 1 ca978112: damaged"},
		"endless length": {func(b []byte) []byte {
			return append([]byte(header+"\x00\x00\x10\x00\xf0"), bytes.Repeat([]byte{255}, 1<<16)...)
		}, nothing + ": cut off"},
		"skipped too far": {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffhello") }, nothing + ": cut off"},
		"skipped only":    {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello") }, nothing + ": not such a file"},
		"nothing":         {func(b []byte) []byte { return nil }, nothing + ": not such a file"},
	} {
		if got := archivetest.Unpack(c.change(slices.Clone(file)), NewReader); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestSmallReads wants the same bytes in whatever pieces they are asked for.
func TestSmallReads(t *testing.T) {
	data := archivetest.Read(t, "text-linked.lz4")
	open := func() io.Reader {
		return NewReader(bytes.NewReader(data), int64(len(data)), func(int64) error { return nil })
	}
	want, err := io.ReadAll(open())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 7, 100_000} {
		var got []byte
		r, p := open(), make([]byte, n)
		for {
			n, err := r.Read(p)
			got = append(got, p[:n]...)
			if err != nil {
				break
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("other bytes in pieces of %d", n)
		}
	}
}

func FuzzReader(f *testing.F) { archivetest.FuzzStream(f, NewReader) }

package lz4

import (
	"bytes"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

var format = archivetest.Stream{Open: NewReader, Matches: Matches}

func TestSamples(t *testing.T) {
	format.Samples(t, map[string]string{
		"enc.zip.lz4":     archivetest.ZipLine,
		"text-linked.lz4": archivetest.TextLine,
		"text-9.lz4":      archivetest.TextLine,
		"text-legacy.lz4": archivetest.TextLine,
		"text-frames.lz4": archivetest.TextLine,
		"as.lz4":          " 300000 12e1b9b1",
	})
}

func TestCutOff(t *testing.T) {
	for _, name := range []string{"enc.zip.lz4", "text-linked.lz4"} {
		format.CutOff(t, name)
	}
}

func TestHostile(t *testing.T) {
	const header = "\x04\x22\x4d\x18\x40\x40\xc0"
	format.Changed(t, "enc.zip.lz4", map[string]archivetest.Change{
		"trailing data":     {func(b []byte) []byte { return append(b, "PK\x03\x04"...) }, archivetest.ZipLine + ": unknown data after the end"},
		"version":           {func(b []byte) []byte { b[4] |= 0x80; return b }, archivetest.EmptyLine + ": wrong format"},
		"dictionary":        {func(b []byte) []byte { b[4] |= 1; return b }, archivetest.EmptyLine + ": needs a dictionary"},
		"huge block":        {func(b []byte) []byte { return []byte(header + "\xff\xff\xff\x7f") }, archivetest.EmptyLine + ": damaged"},
		"huge stored block": {func(b []byte) []byte { return []byte(header + "\xff\xff\xff\xff") }, archivetest.EmptyLine + ": damaged"},
		"distance of 0":     {func(b []byte) []byte { return []byte(header + "\x05\x00\x00\x00\x14a\x00\x00\x00") }, " 1 ca978112: damaged"},
		"distance too far":  {func(b []byte) []byte { return []byte(header + "\x05\x00\x00\x00\x14a\x02\x00\x00") }, " 1 ca978112: damaged"},
		"too many literals": {func(b []byte) []byte { return []byte(header + "\x02\x00\x00\x00\x24ab\x00\x00") }, archivetest.EmptyLine + ": damaged"},
		"no distance":       {func(b []byte) []byte { return []byte(header + "\x03\x00\x00\x00\x14a\x00\x00") }, " 1 ca978112: damaged"},
		"endless length": {func(b []byte) []byte {
			return append([]byte(header+"\x00\x00\x10\x00\xf0"), bytes.Repeat([]byte{255}, 1<<16)...)
		}, archivetest.EmptyLine + ": cut off"},
		"skipped too far": {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\xff\xff\xff\xffhello") }, archivetest.EmptyLine + ": cut off"},
		"skipped only":    {func(b []byte) []byte { return []byte("\x50\x2a\x4d\x18\x05\x00\x00\x00hello") }, archivetest.EmptyLine + ": wrong format"},
		"nothing":         {func(b []byte) []byte { return nil }, archivetest.EmptyLine + ": wrong format"},
	})
}

func TestSmallReads(t *testing.T) { format.SmallReads(t, "text-linked.lz4") }

func FuzzReader(f *testing.F) { format.Fuzz(f) }

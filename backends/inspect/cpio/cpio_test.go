package cpio

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

var both = []string{"hello.txt 27 85143c00", "enc.zip 156 c8e498fc"}

func TestSamples(t *testing.T) {
	archivetest.Samples(t, Matches, Members, map[string][]string{"newc.cpio": both, "crc.cpio": both, "odc.cpio": both, "bin.cpio": both})
}

// swap converts a binary archive's headers to the other byte order.
func swap(data []byte) []byte {
	data = slices.Clone(data)
	for at := 0; at+binarySize < len(data); {
		h, ok := parse(data[at:])
		if !ok {
			break
		}
		for i := at; i < at+binarySize; i += 2 {
			data[i], data[i+1] = data[i+1], data[i]
		}
		at = int(align(align(int64(at)+h.length+h.name, h.align)+h.size, h.align))
	}
	return data
}

func TestByteOrder(t *testing.T) {
	data := swap(archivetest.Read(t, "bin.cpio"))
	if !Matches(data) || data[0] != 0x71 {
		t.Error("does not match")
	}
	archivetest.Want(t, data, Members, both...)
}

// entry returns a member with a new ASCII header.
func entry(name, data string) string {
	b := fmt.Sprintf("070701%s%08x%s%08x%08x%s\x00", strings.Repeat("00000000", 6), len(data), strings.Repeat("00000000", 4), len(name)+1, 0, name)
	b += strings.Repeat("\x00", -len(b)&3) + data
	return b + strings.Repeat("\x00", -len(b)&3)
}

func TestFollowers(t *testing.T) {
	archive := entry("a", "x") + entry(trailer, "")
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"archive":         {archive + strings.Repeat("\x00", 1000) + archive, []string{"a 1 2d711642", "a 1 2d711642"}},
		"something else":  {archive + strings.Repeat("\x00", 1000) + "PK", []string{"a 1 2d711642", " 2 fcab7fcc"}},
		"zeros":           {archive + strings.Repeat("\x00", 1000), []string{"a 1 2d711642"}},
		"far too far":     {archive + strings.Repeat("\x00", 2*maxPadding) + "PK", []string{"a 1 2d711642"}},
		"nothing":         {archive, []string{"a 1 2d711642"}},
		"without its end": {entry("a", "x"), []string{"a 1 2d711642"}},
		"data of its end": {entry("a", "x") + entry(trailer, "PK"), []string{"a 1 2d711642", " 4 b89d0350"}},
	} {
		t.Run(name, func(t *testing.T) { archivetest.Want(t, []byte(c.data), Members, c.want...) })
	}
}

func TestHostile(t *testing.T) {
	a := entry("a", "x")
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"size of 2^32":         {strings.Replace(a, "00000001", "ffffffff", 1), []string{"a 4 66a0b533", "a: cut off"}},
		"name of 2^32":         {strings.Replace(a, "00000002", "ffffffff", 1), []string{": cut off"}},
		"size without digits":  {strings.Replace(a, "00000001", "zzzzzzzz", 1), []string{": damaged header"}},
		"trailing garbage":     {a + strings.Repeat("junk", 100), []string{"a 1 2d711642", ": damaged header"}},
		"cut off in a header":  {a + a[:50], []string{"a 1 2d711642", ": cut off"}},
		"cut off in the data":  {entry("a", "xxxxxxxx")[:113], []string{"a 1 2d711642", "a: cut off"}},
		"name without its NUL": {strings.Replace(a, "a\x00", "ab", 1), []string{"ab 1 2d711642"}},
		"name of no bytes":     {strings.Replace(a, "00000002", "00000000", 1), []string{" 1 2d711642"}},
	} {
		t.Run(name, func(t *testing.T) { archivetest.Want(t, []byte(c.data), Members, c.want...) })
	}
}

func TestMatches(t *testing.T) {
	bin := archivetest.Read(t, "bin.cpio")
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"newc":              {[]byte(entry("a", "")), true},
		"short":             {[]byte(entry("a", ""))[:60], false},
		"digits":            {bytes.Repeat([]byte("070707"), 100), false},
		"binary":            {bin, true},
		"magic alone":       {append([]byte{0xc7, 0x71}, make([]byte, 500)...), false},
		"magic and garbage": {append([]byte{0xc7, 0x71}, bytes.Repeat([]byte{3}, 500)...), false},
		"magic and no name": {bin[:30], false},
	} {
		if got := Matches(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, Members) }

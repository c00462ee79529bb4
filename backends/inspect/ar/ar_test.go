package ar

import (
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/archive/archivetest"
)

const longName = "enc-with-a-name-of-more-than-sixteen.zip"

func TestSamples(t *testing.T) {
	archivetest.Samples(t, Matches, Members, map[string][]string{
		"gnu.a": {"// 42 0f713997", "hello.txt 27 85143c00", longName + " 156 c8e498fc"},
		"bsd.a": {"hello.txt 27 85143c00", longName + " 156 c8e498fc"},
		"x.deb": {"debian-binary 4 d526eb4e", "control.tar.xz 276 bf7feba1", "data.tar.xz 332 94120363"},
	})
}

// header returns a member header.
func header(name, size string) string {
	pad := func(s string, n int) string { return s + strings.Repeat(" ", n-len(s)) }
	return pad(name, 16) + pad("0", 12) + pad("0", 6) + pad("0", 6) + pad("644", 8) + pad(size, 10) + "`\n"
}

func TestHostile(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"nothing":                        {"", nil},
		"odd size":                       {header("a/", "1") + "x\n" + header("b/", "1") + "y", []string{"a 1 2d711642", "b 1 a1fce436"}},
		"size without digits":            {header("a/", "-1"), []string{": damaged header"}},
		"largest size":                   {header("a/", "9999999999") + "x", []string{"a 1 2d711642", "a: cut off"}},
		"cut off in a header":            {header("a/", "0") + header("b/", "0")[:40], []string{"a 0 e3b0c442", ": cut off"}},
		"no end of the header":           {header("a/", "0")[:58] + "xx", []string{": damaged header"}},
		"long name without a table":      {header("/99", "0"), []string{"/99 0 e3b0c442"}},
		"long name in a table that lies": {header("//", "9999999999"), []string{"// 0 e3b0c442", "//: cut off"}},
		"name longer than its member":    {header("#1/100", "4") + "abcd", []string{": damaged header"}},
		"name of 2^32":                   {header("#1/4294967296", "4294967296") + "abcd", []string{": cut off"}},
		"name with NUL":                  {header("#1/4", "6") + "a\x00bcxy", []string{"a 2 769a4e6d"}},
	} {
		t.Run(name, func(t *testing.T) { archivetest.Want(t, []byte(Signature+c.data), Members, c.want...) })
	}
}

func FuzzMembers(f *testing.F) { archivetest.Fuzz(f, Members) }

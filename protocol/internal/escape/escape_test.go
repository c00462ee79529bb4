package escape

import (
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestObject(t *testing.T) {
	long := "/" + strings.Repeat("d", longObject)
	for _, test := range []struct{ name, want string }{
		{"", ""},
		{"/var/spool/x", "/var/spool/x"},
		{"/a: OK", "/a: OK"},
		{`/c\d\x4g\`, `/c\d\x4g\`},
		{"/Ångström/日本/\xff\xe9", "/Ångström/日本/\xff\xe9"},
		{"/a: OK\nb", `/a: OK\x0ab`},
		{"/a\r\x1b[31m\x7f\t\x00", `/a\x0d\x1b[31m\x7f\x09\x00`},
		{"/a\\\n", `/a\\\x0a`},
		{`/a\x0ab`, `/a\\x0ab`},
		{`/a\\b\c`, `/a\\\\b\\c`},
		{"/Å\u0085\u2028\u2029\x85", `/Å\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\x85`},
		{long + ": OK", long + `: \x4fK`},
		{long + "BOOK OK FOUND ERRORS", long + `BOOK \x4fK \x46OUND \x45RRORS`},
		{long + `\ OK`, long + `\\ \x4fK`},
		{long + `BOOK\d`, long + `BOOK\d`},
		{strings.Repeat("\n", 40) + " OK", strings.Repeat(`\x0a`, 40) + ` \x4fK`},
	} {
		if got := Object(test.name); got != test.want {
			t.Errorf("%q is escaped as\n%s, want\n%s", test.name, got, test.want)
		}
		if got := Unescape(test.want); got != test.name {
			t.Errorf("%s is unescaped as %q, want %q", test.want, got, test.name)
		}
	}
}

// FuzzObject checks that no name breaks a line, that Unescape returns every name, and
// that the start of a long one does not read as a complete status line.
func FuzzObject(f *testing.F) {
	f.Add("/a: OK\nb")
	f.Add("\u00820")
	f.Add(`/\x0a\\ ` + "\u2028\x85" + strings.Repeat(" OK", 50))
	f.Fuzz(func(t *testing.T, name string) {
		escaped := Object(name)
		if got := Unescape(escaped); got != name {
			t.Fatalf("%q became %q", name, got)
		}
		for _, r := range escaped {
			if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%q holds %q", escaped, r)
			}
		}
		if len(escaped) <= longObject {
			return
		}
		for i := range escaped {
			words := strings.Split(escaped[:i], " ")
			if len(words) > 1 && slices.Contains([]string{"OK", "FOUND", "ERROR"}, words[len(words)-1]) {
				t.Fatalf("%q can be cut after %q", escaped, words[len(words)-1])
			}
		}
	})
}

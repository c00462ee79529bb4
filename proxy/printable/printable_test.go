package printable

import "testing"

// FuzzUnescape checks that Unescape reverses Escape, and reports what was cut off.
func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"", "a", "a\\b\x00\xff", "12345678...", "12345678", "1234567890", `\x`, `\x4`, `\xzz`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		const limit = 8
		got, whole := Unescape(Escape(s, limit), limit)
		if whole != (len(s) <= limit) || whole && got != s {
			t.Errorf("%q became %q, %v", s, got, whole)
		}
		Unescape(s, limit)
	})
}

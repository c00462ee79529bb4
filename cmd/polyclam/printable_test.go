package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// printableLines is printable for each line.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                      "",
		"plain name.txt":        "plain name.txt",
		"Größe 日本語":             "Größe 日本語",
		"\x1b]0;title\x07":      `\x1b]0;title\x07`,
		"a\nb\rc\td":            `a\nb\rc\td`,
		"nul\x00 del\x7f":       `nul\x00 del\x7f`,
		"c1 \u009b31m":          `c1 \u009b31m`,
		"raw c1 \x9b31m":        `raw c1 \x9b31m`,
		"exe.\u202etxt":         `exe.\u202etxt`,
		"zero\u200bwidth\ufeff": `zero\u200bwidth\ufeff`,
		"latin1 \xe9t\xe9":      `latin1 \xe9t\xe9`,
		"half \xe2\x82":         `half \xe2\x82`,
		"tag \U000e0041":        `tag \U000e0041`,
		"a\u00a0b":              `a\u00a0b`,
		"replaced \ufffd":       "replaced \ufffd",
		"no break\u2028line":    `no break\u2028line`,
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzPrintable(f *testing.F) {
	f.Add("a\x1b[2J\xff\u202e")
	f.Fuzz(func(t *testing.T, s string) {
		p := printable(s)
		if !isPrintable(p) || !utf8.ValidString(p) {
			t.Errorf("printable(%q) = %q", s, p)
		}
		line := jsonLine(struct{ S string }{s})
		if printableLines(line) != line {
			t.Errorf("jsonLine of %q is %q", s, line)
		}
		var back struct{ S string }
		if err := json.Unmarshal([]byte(line), &back); err != nil || utf8.ValidString(s) && back.S != s {
			t.Errorf("jsonLine of %q is %q, and back %q, %v", s, line, back.S, err)
		}
	})
}

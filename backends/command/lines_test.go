package command

import (
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
)

func TestSplit(t *testing.T) {
	const esc, bell = "\x1b", "\a"
	for _, c := range []struct {
		name, output string
		lines        []string
	}{
		{"nothing", "", nil},
		{"blank", "\n \t\r\n\v\n", nil},
		{"no final line feed", "a\nb", []string{"a", "b"}},
		{"CRLF", "a\r\nb\r\n", []string{"a", "b"}},
		{"carriage returns", "50%\r100%\rdone\n", []string{"50%", "100%", "done"}},
		{"vertical tab, form feed", "a\vb\fc", []string{"a", "b", "c"}},
		{"Unicode's line ends", "a\u0085b\u2028c\u2029d", []string{"a", "b", "c", "d"}},
		{"backspaces", "50%\b\b\bdone", []string{"50%", "done"}},
		{"NUL", "a\x00b", []string{"a", "b"}},
		{"byte order mark", "\ufeffa\n\ufeffb", []string{"a", "b"}},
		{"tabs stay", "\ta\tb", []string{"\ta\tb"}},
		{"invalid UTF-8 stays", "a\xff\xfcb", []string{"a\xff\xfcb"}},
		{"colours", esc + "[1;31ma" + esc + "[0mb" + esc + "[m", []string{"ab"}},
		{"cursor", "50%" + esc + "[2K" + esc + "[1Gdone", []string{"50%", "done"}},
		{"a truncated sequence", "a" + esc + "[31", []string{"a", "31"}},
		{"escape at the end", "a" + esc, []string{"a"}},
		{"eight-bit control sequence", "a\u009b2Kb", []string{"a", "b"}},
		{"title", esc + "]0;title" + bell + "a", []string{"a"}},
		{"title with a string terminator", "a" + esc + "]0;title" + esc + "\\b", []string{"a", "b"}},
		{"a title without an end", "a" + esc + "]0;title", []string{"a", "0;title"}},
		{"a title over two lines", "a" + esc + "]0;ti\ntle" + bell, []string{"a", "0;ti", "tle"}},
		{"unknown escape", "a" + esc + "zb", []string{"a", "zb"}},
		{"UTF-16, little endian", "\xff\xfea\x00\r\x00\n\x00b\x00", []string{"a", "b"}},
		{"UTF-16, big endian", "\xfe\xff\x00a\x00\n\x00b", []string{"a", "b"}},
		{"UTF-16 without a mark", "a\x00b\x00c\x00\n\x00d\x00e\x00", []string{"abc", "de"}},
		{"UTF-16, big endian, without a mark", "\x00a\x00b\x00c\x00\n\x00d\x00e", []string{"abc", "de"}},
		{"UTF-16, truncated in a character", "\xff\xfea\x00b", []string{"ab"}},
	} {
		var lines []string
		for _, row := range split([]byte(c.output)).rows {
			lines = append(lines, row.lines...)
		}
		if !slices.Equal(lines, c.lines) {
			t.Errorf("%s: %q, want %q", c.name, lines, c.lines)
		}
	}
	for output, want := range map[string]bool{"ab\x00c": true, strings.Repeat("\x00", 5000): true, "a": false, "a\x00b\x00": false} {
		if got := split([]byte(output)).binary; got != want {
			t.Errorf("%.20q: binary: %v", output, got)
		}
	}
}

// TestHidden checks that text before a finding on the same line never makes an ok, for each
// sample with a finding; and that a finding is still found if that text ends with something
// that ends a line.
func TestHidden(t *testing.T) {
	ends := []string{"\r", "\x1b[2K", "\x1b[1G", "\b\b\b", "\v", "\f", "\u0085", "\u2028", "\x00", "\x1b]0;title\a", "\x1b[1m\r", "\x1b7\r"}
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for _, s := range p.Samples {
			if s.Category != backends.Virus && s.Category != backends.Suspicious {
				continue
			}
			for _, prefix := range []string{"50%", "Scanning... ", "[12:00:00] ", "\x1b[31m", "\x1b]0;title", "\x1b[", "/q/a: OK "} {
				e := sampled(&s)
				e.output = []byte(prefix + strings.ReplaceAll(s.Output, "\n", "\n"+prefix))
				wantBad(t, p.Name, tab, e, "")
				if s.Output != "" {
					e.code = 0
					wantBad(t, p.Name, tab, e, "")
				}
			}
			if s.Output == "" {
				continue
			}
			for _, end := range ends {
				e := sampled(&s)
				e.output = []byte("50%" + end + strings.ReplaceAll(s.Output, "\n", "\n50%"+end))
				wantBad(t, p.Name, tab, e, s.Category)
			}
		}
	}
}

// wantBad checks for a category, or for any but ok if want is empty.
func wantBad(t *testing.T, preset string, tab *table, e runResult, want backends.Category) {
	t.Helper()
	r, err := tab.evaluate(t.Context(), e)
	if got := outcomeOf(r, err); got == backends.OK || want != "" && got != want {
		t.Errorf("%s: %q with exit status %d is %s, want %s", preset, e.output, e.code, said(r, err), want)
	}
}

// TestSplitFinding checks that a line end in a file name does not split a finding.
func TestSplitFinding(t *testing.T) {
	for _, end := range []string{"\r", "\b", "\x1b[2K", "\x00", "\x1b]0;x\a"} {
		output := "[15:14:33] Detected \"/q/a/x" + end + "y\" is infected with EICAR-AV-Test (On Demand)\n"
		r, err := compiled(t, "sophos-spl-avscanner").evaluate(t.Context(), printed(output, 0))
		if r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "EICAR-AV-Test" {
			t.Errorf("%q: %+v, %v", output, r, err)
		}
	}
}

// TestIgnored checks that a line with a finding or failure is not ignored.
func TestIgnored(t *testing.T) {
	b := open(t, shell("", func(c *Config) {
		c.IgnoreRegex, c.ErrorRegex, c.VirusFlagRegex = "Scanning .*|[0-9]+%", "(?i)^error|^fatal", "^(?:Bad|Worse): [1-9]"
	})).(*Backend)
	for output, want := range map[string]string{
		"Scanning a": "ok", "50%": "ok", "Scanning a\n50%\r100%\rScanning b": "ok",
		"Scanning a FOUND x": "swerr", "Scanning a Error: no database": "swerr", "Scanning a fatal": "swerr", "Scanning a Worse: 3": "swerr",
		"Scanning a\rFOUND x": "virus", "Scanning a\rerror": "swerr", "50% ": "ok", " 50%": "swerr", "a Scanning b": "swerr",
	} {
		if r, err := b.table.evaluate(t.Context(), printed(output, 0)); said(r, err) != want {
			t.Errorf("%q: %+v, %v, want %s", output, r, err, want)
		}
	}
}

// FuzzSplit checks that a word on its own line survives any output before it.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"a\r\nb", "\x1b[31ma\x1b[0m", "\x1b]0;t\ab", "\xff\xfea\x00\n\x00", "\x9b1m", "\u009d\u009c", "a\x00b"} {
		f.Add([]byte(seed), "Eicar")
	}
	f.Fuzz(func(t *testing.T, output []byte, word string) {
		if strings.ContainsFunc(word, separates) || strings.TrimSpace(word) != word || word == "" || len(output) > 1000 || len(word) > 100 {
			return
		}
		printed := split([]byte("x\n" + string(output) + "\n" + word + "\n"))
		if guessed([]byte("x\n"+string(output)+"\n"+word+"\n")) != nil {
			return
		}
		last := printed.rows[len(printed.rows)-1]
		if !slices.Equal(last.lines, []string{word}) {
			t.Fatalf("%q, want %q", last, word)
		}
	})
}

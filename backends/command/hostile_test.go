package command

import (
	"regexp"
	"strings"
	"testing"

	"polyclam/backends"
)

// hostile are outputs that mean trouble, or nothing at all. None may ever be ok, whatever
// the scanner and its exit status.
var hostile = map[string]string{
	"licence":              "License expired\n",
	"no database":          "Error: cannot load virus database\n",
	"no database, quietly": "virus data missing\n",
	"killed":               "Killed\n",
	"usage":                "Usage: scan [OPTION]... FILE...\n  -h  help\n",
	"unknown option":       "scan: unrecognized option '--archive'\n",
	"binary":               "\x7fELF\x02\x01\x01\x00\x00\xff\xfe\x80",
	"NULs":                 strings.Repeat("\x00", 100),
	"in the middle":        "Scann",
	"loader":               "error while loading shared libraries: libav.so.1: cannot open shared object file\n",
	"segmentation fault":   "Segmentation fault (core dumped)\n",
	"an OK":                "OK\n",
	"clean, of what?":      "clean\n",
	"another file":         "/q/b: OK\n",
	"no such file":         "/q/a: No such file or directory\n",
	"a line that is long":  strings.Repeat("x", maxLine+1) + "\n",
	"nothing but a colour": "\x1b[31mLicense expired\x1b[0m\r",
}

// TestHostile evaluates them alone, and before and after everything else that is printed
// about a clean file, with each exit status that can be ok.
func TestHostile(t *testing.T) {
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		bound := strings.Contains(tab.source("ok_regex"), pathInside)
		tab = tab.filled([]string{"/q/a"})
		clean := p.clean()
		for code, o := range tab.exit {
			if o.category != backends.OK && (tab.ok == nil || !o.asks) {
				continue
			}
			for name, output := range hostile {
				for _, whole := range []string{output, output + clean, strings.TrimSuffix(clean, "\n") + "\n" + output} {
					wantNotOK(t, p.Name+", "+name, tab, printed(whole, code))
				}
			}
			if tab.ok == nil {
				continue
			}
			if !tab.okSilent || o.category != backends.OK {
				wantNotOK(t, p.Name+", empty", tab, printed("", code))
				wantNotOK(t, p.Name+", blank", tab, printed("\n\r\n \n", code))
			}
			if clean == "" {
				t.Errorf("%s has an ok_regex, and no sample of a clean file", p.Name)
			}
			hostileSummaries(t, p.Name, tab, clean, code)
			if bound {
				wantNotOK(t, p.Name+", another file", tab, printed(strings.ReplaceAll(clean, "/q/a", "/q/b"), code))
			}
		}
	}
}

// hostileSummaries removes parts of the output for a clean file.
func hostileSummaries(t *testing.T, preset string, tab *table, clean string, code int) {
	t.Helper()
	if r, err := tab.evaluate(t.Context(), printed(clean, code)); said(r, err) != "ok" && code == 0 {
		t.Errorf("%s: %q is %s", preset, clean, said(r, err))
	}
	lines := strings.SplitAfter(strings.TrimSuffix(clean, "\n"), "\n")
	optional := 0
	for i, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		cut := strings.Join(lines[:i], "")
		if r, err := tab.evaluate(t.Context(), printed(cut, code)); r.Category == backends.OK && err == nil {
			optional++ // the lines up to here suffice
		}
	}
	if optional > 1 {
		t.Errorf("%s: %d of %d lines at the end of %q are not needed", preset, optional, len(lines), clean)
	}
	for _, none := range []struct{ one, zero string }{
		{"Scanned objects\t\t1", "Scanned objects\t\t0"}, {"1 file scanned", "0 files scanned"}, {"1 file(s) scanned", "0 file(s) scanned"},
		{"Total files:...................     1", "Total files:...................     0"}, {"Files              : 1", "Files              : 0"},
		{"Objects scanned:     1", "Objects scanned:     0"}, {"Scanned objects: 1", "Scanned objects: 0"}, {"Files: 1", "Files: 0"},
		{"Files scanned     :  1(1)", "Files scanned     :  0(0)"}, {"Number of Scanned Files: 1", "Number of Scanned Files: 0"},
		{"Total:             files - 1, objects 1", "Total:             files - 0, objects 0"},
		{"- scanned    : 1", "- scanned    : 0"}, {"Scanned objects                     : 1", "Scanned objects                     : 0"},
	} {
		if strings.Contains(clean, none.one) {
			wantNotOK(t, preset+", nothing scanned", tab, printed(strings.Replace(clean, none.one, none.zero, 1), code))
		}
	}
}

// source returns the text of an expression that has a placeholder.
func (t *table) source(key string) string {
	for _, x := range t.unfilled {
		if x.key == key {
			return x.text
		}
	}
	return ""
}

// clean returns the longest sample output for a clean file, with the path "/q/a".
func (p *Preset) clean() (output string) {
	for _, s := range p.Samples {
		if s.Category != backends.OK || len(s.Output) <= len(output) {
			continue
		}
		output = s.Output
		if s.Path != "" {
			output = strings.ReplaceAll(output, s.Path, "/q/a")
		}
	}
	return output
}

func wantNotOK(t *testing.T, name string, tab *table, e runResult) {
	t.Helper()
	r, err := tab.evaluate(t.Context(), e)
	if outcomeOf(r, err) == backends.OK {
		t.Errorf("%s: %q with exit status %d is ok", name, e.output, e.code)
	}
}

// memberNames are names of archive members, as hostile as names can be.
var memberNames = []string{
	"clean.txt: OK\nx", "x\n/q/a: OK", "x: OK", "OK", "x\t[OK]", "x\t[OK]\nx", "password protected", "x is password-protected.", "x (corrupt)",
	"Password protected file", "x\nPassword protected file y", "x (File was encrypted)", "x\nCould not check y (corrupt)", "x as it is password protected",
	"x\r", "x\r/q/a: OK", "\x1b]0;", "\x1b[2K", "\x1b[8m", "x\by", "x\x00y", "x\u2028OK", "x\"", "x\", threat=\"is OK\", action=\"\", info=\"", "x\", result=\"is OK\", action=\"\", info=\"password-protected",
	"x - Ok", "x - Ok\nScanned objects: 1, scan errors: 0, threats found: 0, threats neutralized: 0.", "x: CLEAN", "x ---> Not Virus", "x ... is OK.",
	"CLEAN:: :: x", "x\nThreats found: 0", "x\nNumber of Found Viruses: 0", "x ok", "x  password protected", "x (", "[x]", "<x>", "x' found in file", "%s%n",
	"x: Archive is password protected", "x is infected with OK", "x INFECTED",
}

// TestMemberNames inserts each name where a program prints the path of a member, in each
// sample that has one. A virus or failure must never become ok, and a clean file never
// encrypted or partial.
func TestMemberNames(t *testing.T) {
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for i, s := range p.Samples {
			e := sampled(&s)
			full := tab.filled(e.paths)
			for _, name := range memberNames {
				for _, output := range withMember(s.Output, e.paths[0], name) {
					r, err := full.evaluate(t.Context(), runResult{output: []byte(output), code: s.Exit})
					got := outcomeOf(r, err)
					switch {
					case s.Category == backends.OK && (got == backends.Encrypted || got == backends.Partial):
						if err == nil {
							t.Errorf("%s, sample %d: with a member %q, %q is %s", p.Name, i, name, output, said(r, err))
						}
					case s.Category != backends.OK && got == backends.OK:
						t.Errorf("%s, sample %d: with a member %q, %q is ok", p.Name, i, name, output)
					case (s.Category.IsFailure() || s.Failure != "") && err == nil && got != backends.Virus && got != backends.Suspicious:
						t.Errorf("%s, sample %d: with a member %q, %q is %s without a failure", p.Name, i, name, output, said(r, err))
					}
				}
			}
		}
	}
}

// withMember returns the outputs with the name of a member after the path, with the
// separators that programs use.
func withMember(output, path, name string) (all []string) {
	file := path
	if !strings.Contains(output, path) {
		file = samplePath.FindString(output)
	}
	if file == "" {
		return nil
	}
	for _, separator := range []string{"/", "->"} {
		all = append(all, strings.ReplaceAll(output, file, file+separator+name))
	}
	return all
}

// samplePath finds the path in a sample that does not specify it.
var samplePath = regexp.MustCompile(`/(?:q|m|malware|tmp)/[\w.]+|foo\.(?:zip/foo\.)?txt|a\.doc|a\.zip|eicar\.com\.txt|\bEICAR$|\bx\b`)

package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf16"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestSamples evaluates the samples of every preset, with each kind of line end.
func TestSamples(t *testing.T) {
	samples := 0
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for i, s := range p.Samples {
			samples++
			plain := strings.ReplaceAll(s.Output, "\r\n", "\n")
			for _, output := range []string{s.Output, strings.ReplaceAll(plain, "\n", "\r\n"), strings.TrimSuffix(s.Output, "\n"), "\ufeff" + s.Output, utf16LE(plain)} {
				e := sampled(&s)
				e.output = []byte(output)
				r, err := tab.evaluate(t.Context(), e)
				checkSample(t, p.Name, i, s, r, err)
			}
		}
		if len(p.Samples) == 0 {
			t.Errorf("%s has no samples", p.Name)
		}
	}
	if samples != 218 {
		t.Errorf("%d samples, want 218", samples)
	}
}

func utf16LE(s string) string {
	out := []byte("\xff\xfe")
	for _, unit := range utf16.Encode([]rune(s)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

func checkSample(t *testing.T, preset string, i int, s Sample, r backends.Result, err error) {
	t.Helper()
	want := string(s.Category)
	if s.Failure != "" {
		want += "+" + string(s.Failure)
	}
	if got := said(r, err); got != want {
		t.Errorf("%s, sample %d: %v, want %v: %+v, %v", preset, i, got, want, r, err)
		return
	}
	var f *backends.Failure
	if err != nil && (!errors.As(err, &f) || f.Code != s.Exit) {
		t.Errorf("%s, sample %d: %#v", preset, i, err)
	}
	if r.Category == "" {
		return
	}
	if problem := backendtest.Check(r); problem != "" {
		t.Errorf("%s, sample %d: %+v: %s", preset, i, r, problem)
	}
	if r.Code != s.Exit || s.Name != "" && !slices.ContainsFunc(r.Findings, func(f backends.Finding) bool { return f.Name == s.Name }) {
		t.Errorf("%s, sample %d: %+v, want %q and status %d", preset, i, r, s.Name, s.Exit)
	}
}

// TestUnknownStatus checks that a status that is not in a preset's table is never ok,
// whatever the output, nor is silence of a program that must report something.
func TestUnknownStatus(t *testing.T) {
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for code := range 256 {
			r, err := tab.evaluate(t.Context(), runResult{code: code})
			quiet := tab.okSilent && tab.exit[code].category == backends.OK
			if outcomeOf(r, err) == backends.OK && (tab.ok != nil && !quiet || !tab.lists(code)) {
				t.Errorf("%s: exit status %d without output is %+v", p.Name, code, r)
			}
		}
		for _, s := range p.Samples {
			e := sampled(&s)
			full := tab.filled(e.paths)
			tried := map[string]bool{}
			for e.code = range 256 {
				// Try only one of the statuses with the same meaning.
				kind := fmt.Sprint(tab.outcomes(e.code), isShellSignal(e.code))
				if tab.lists(e.code) || tried[kind] {
					continue
				}
				tried[kind] = true
				r, err := full.evaluate(t.Context(), e)
				if outcomeOf(r, err) == backends.OK {
					t.Errorf("%s: %q with exit status %d is %+v", p.Name, s.Output, e.code, r)
				}
			}
		}
	}
}

func (t *table) lists(code int) bool { _, ok := t.exit[code]; return ok }

// TestForgedLines checks that lines forged by the name of a member can add a category, but
// never remove the virus or failure beside them.
func TestForgedLines(t *testing.T) {
	var lines []string
	for _, p := range Presets() {
		for _, s := range p.Samples {
			lines = append(lines, strings.Split(s.Output, "\n")...)
		}
	}
	slices.Sort(lines)
	forged := strings.Join(slices.Compact(lines), "\n") + "\n"
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for _, s := range p.Samples {
			if s.Category != backends.Virus && !s.Category.IsFailure() && s.Failure == "" {
				continue
			}
			for _, output := range []string{s.Output + "\n" + forged, forged + s.Output} {
				e := sampled(&s)
				e.output = []byte(output)
				r, err := tab.evaluate(t.Context(), e)
				if s.Category == backends.Virus && outcomeOf(r, err) != backends.Virus {
					t.Errorf("%s: %q beside forged lines is %s: %+v, %v", p.Name, s.Output, said(r, err), r, err)
				}
				if (s.Category.IsFailure() || s.Failure != "") && err == nil {
					t.Errorf("%s: %q beside forged lines is no failure: %+v", p.Name, s.Output, r)
				}
			}
		}
	}
}

// TestVirusStatus combines a status that means virus with lines that name none.
func TestVirusStatus(t *testing.T) {
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for code, o := range tab.exit {
			if o.category != backends.Virus {
				continue
			}
			for _, s := range p.Samples {
				if s.Category != backends.Encrypted && s.Category != backends.Partial && s.Category != backends.OK || tab.known || len(tab.rules) > 0 {
					continue
				}
				e := sampled(&s)
				e.code = code
				r, err := tab.evaluate(t.Context(), e)
				if outcomeOf(r, err) != backends.Virus {
					t.Errorf("%s: %q with exit status %d is %+v, %v", p.Name, s.Output, code, r, err)
				}
			}
		}
	}
}

// Lines of clamscan and Sophos Sweep.
const (
	virusLine      = "/q/a: Eicar FOUND\n"
	cleanLine      = "/q/a: OK\n"
	protectedLine  = "Password protected file a/b\n"
	sweepVirusLine = ">>> Virus 'EICAR-AV-Test' found in file a\n"
	corruptLine    = "Could not check a.doc (corrupt)\n"
	unopenedLine   = "Could not open b\n"
)

var evaluations = []struct {
	name, preset string
	e            runResult
	want         string
}{
	{"virus, then killed", "clamscan", runResult{output: []byte(virusLine), signal: syscall.SIGSEGV}, "virus+interrupted"},
	{"encrypted, then killed", "sophos-sweep", runResult{output: []byte(protectedLine), signal: syscall.SIGKILL}, "encrypted+interrupted"},
	{"clean, then killed", "clamscan", runResult{output: []byte(cleanLine), signal: syscall.SIGKILL}, "interrupted"},
	{"encrypted, then killed below a shell", "sophos-sweep", runResult{output: []byte(protectedLine), code: 137}, "encrypted+interrupted"},
	{"killed below a shell", "clamscan", runResult{code: 139}, "interrupted"},
	{"virus, then killed below a shell", "clamscan", runResult{output: []byte(virusLine), code: 139}, "virus+interrupted"},
	{"virus, then out of time", "clamscan", runResult{output: []byte(virusLine + "half a li"), stopped: context.DeadlineExceeded}, "virus+interrupted"},
	{"clean, then out of time", "clamscan", runResult{output: []byte(cleanLine), stopped: context.DeadlineExceeded}, "interrupted"},
	{"no such signal", "clamscan", runResult{code: 200}, "swerr"},
	{"128 is no signal", "clamscan", runResult{code: 128}, "swerr"},
	{"bits, not a shell", "f-prot-fpscan", runResult{code: 137}, "virus"},
	{"every bit counts", "f-prot-fpscan", runResult{code: 64 | 8 | 4}, "encrypted+interrupted"},
	{"bits of failures", "f-prot-fpscan", runResult{code: 64 | 16}, "encrypted+swerr"},
	{"a bit that says nothing", "drweb-console-old", runResult{code: 33}, "virus"},
	{"clean, but truncated", "clamscan", runResult{output: []byte(cleanLine), truncated: true}, "swerr"},
	{"encrypted, but truncated", "sophos-sweep", runResult{output: []byte(protectedLine), code: 2, truncated: true}, "encrypted+swerr"},
	{"virus, truncated", "clamscan", runResult{output: []byte(virusLine), code: 1, truncated: true}, "virus+swerr"},
	{"status virus, truncated", "sophos-sweep", runResult{code: 3, truncated: true}, "virus+swerr"},
	{"a truncated line", "clamscan", runResult{output: []byte(cleanLine + "/q/a" + strings.Repeat("x", maxLine) + ": Eicar FOUND\n")}, "swerr"},
	{"virus beside a truncated line", "sophos-sweep", runResult{output: []byte(strings.Repeat("x", 1<<20) + "\n" + sweepVirusLine)}, "virus+swerr"},
	{"partial and a failure", "sophos-sweep", runResult{output: []byte(corruptLine + unopenedLine), code: 2}, "partial+swerr"},
	{"encrypted and a failure", "sophos-sweep", runResult{output: []byte(protectedLine + unopenedLine), code: 2}, "encrypted+swerr"},
	{"encrypted and an unknown failure", "sophos-sweep", runResult{output: []byte(protectedLine + "scan of a was interrupted\n"), code: 2}, "encrypted+swerr"},
	{"encrypted, and a status that is not listed", "sophos-sweep", runResult{output: []byte(protectedLine), code: 9}, "encrypted+swerr"},
	{"all three", "sophos-sweep", runResult{output: []byte(unopenedLine + corruptLine + protectedLine + sweepVirusLine), code: 2}, "virus+swerr"},
	{"encrypted, and virus by the status", "sophos-sweep", runResult{output: []byte(protectedLine), code: 3}, "virus"},
	{"encrypted by the status, and a failure", "sophos-spl-avscanner", runResult{output: []byte("Failed to scan /q/a/b due to a sweep failure\n"), code: 16}, "encrypted+swerr"},
	{"two kinds of failure", "clamdscan", runResult{output: []byte("ERROR: Could not connect to clamd on x: y\nERROR: z\n"), code: 2}, "swerr+cannot-execute"},
	{"clean, with a failure", "sophos-sweep", runResult{output: []byte(unopenedLine)}, "swerr"},
	{"limits beside a warning", "clamscan", runResult{output: []byte("WARNING: x\n/q/a: Heuristics.Limits.Exceeded.MaxFiles FOUND\n"), code: 1}, "partial+swerr"},
	{"many names in a line, the first weak", "withsecure-fsanalyze",
		runResult{output: []byte(strings.Repeat(" result=infected infection=encrypted", 100) + " result=infected infection=X\n")}, "virus"},
	{"a name that only begins like one", "withsecure-fsanalyze", runResult{output: []byte("a: result=infected infection=Trojan.Encrypted.A\n")}, "virus"},
	{"a name that the shared table knows, from a program whose lines can be forged", "kaspersky-kavscanner",
		runResult{output: []byte("/q/a INFECTED Heuristics.Encrypted.Zip\n"), code: 25}, "virus"},
	{"tags", "yara", runResult{output: []byte("A [x,partial] p\nB [suspicious] p\n")}, "suspicious"},
	{"a tag that only looks like one", "yara", runResult{output: []byte("A [not_encrypted] p\n")}, "virus"},
	{"disinfected", "kaspersky-kavscanner", runResult{code: 5}, "virus"},
	{"no licence", "microsoft-mdatp", runResult{output: []byte("ATTENTION: No license found\nScan has finished\n\t1 file(s) scanned\n\t0 threat(s) detected\n")}, "swerr"},
	{"threats that have no name", "drweb-ctl", runResult{output: []byte("a - foo\nScanned objects: 1, scan errors: 0, threats found: 2.\n")}, "suspicious+swerr"},
	{"ok in the wrong place", "drweb-ctl", runResult{output: []byte("/q/threats found: 0 - Ok\n")}, "swerr"},
	{"ok with an unknown status", "comodo-cmdscan", runResult{output: []byte("Number of Found Viruses: 0\n"), code: 7}, "swerr"},
	{"ok with any other status", "panda-pavcl", runResult{output: []byte("Number of files infected ..... : 0\n"), code: 7}, "swerr"},
	{"container violation", "symantec-savsecls", runResult{output: []byte("Virus Name: Encrypted container violation\n")}, "encrypted"},
	{"a virus that grows", "symantec-savsecls", runResult{output: []byte("Virus Name: W32.Oversize.Extract\n")}, "virus"},
	{"gone, and shared", "clamscan", runResult{output: []byte(cleanLine), altered: alteration{"gone", true}}, "suspicious+swerr"},
	{"gone, but a copy", "clamscan", runResult{output: []byte(cleanLine), altered: alteration{"gone", false}}, "suspicious"},
}

func TestEvaluate(t *testing.T) {
	for _, c := range evaluations {
		c.e.paths = []string{"/q/a"}
		r, err := compiled(t, c.preset).evaluate(t.Context(), c.e)
		if got := said(r, err); got != c.want {
			t.Errorf("%s: %v, want %v: %+v, %v", c.name, got, c.want, r, err)
		}
	}
}

// TestTrusted checks that a site can trust an exit status whatever the output, except for
// lines that mean a finding or failure.
func TestTrusted(t *testing.T) {
	b := open(t, shell("", func(c *Config) { c.Exit["0"], c.ErrorRegex = "ok", "^ERROR" })).(*Backend)
	for output, want := range map[string]string{
		"": "ok", "whatever\n": "ok", "FOUND x\n": "virus", "ENCRYPTED\n": "encrypted", "ERROR x\n": "swerr", strings.Repeat("x", maxLine+1): "swerr",
	} {
		if r, err := b.table.evaluate(t.Context(), printed(output, 0)); said(r, err) != want {
			t.Errorf("%.20q: %+v, %v, want %s", output, r, err, want)
		}
	}
}

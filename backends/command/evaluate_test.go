package command

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// TestSamples has every preset evaluate its own samples, with each kind of line
// end.
func TestSamples(t *testing.T) {
	samples := 0
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for i, s := range p.Samples {
			samples++
			for _, output := range []string{s.Output, strings.ReplaceAll(strings.ReplaceAll(s.Output, "\r\n", "\n"), "\n", "\r\n"), strings.TrimSuffix(s.Output, "\n")} {
				r, err := tab.evaluate(t.Context(), ending{output: []byte(output), code: s.Exit})
				checkSample(t, p.Name, i, s, r, err)
			}
		}
		if len(p.Samples) == 0 {
			t.Errorf("%s has no samples", p.Name)
		}
	}
	if samples != 127 {
		t.Errorf("%d samples, want 127", samples)
	}
}

func checkSample(t *testing.T, preset string, i int, s Sample, r backends.Result, err error) {
	t.Helper()
	if got := outcomeOf(r, err); got != s.Category {
		t.Errorf("%s, sample %d: %v, want %v: %+v, %v", preset, i, got, s.Category, r, err)
		return
	}
	if err != nil {
		var f *backends.Failure
		if !errors.As(err, &f) || f.Code != s.Exit {
			t.Errorf("%s, sample %d: %#v", preset, i, err)
		}
		return
	}
	if problem := backendtest.Check(r); problem != "" {
		t.Errorf("%s, sample %d: %+v: %s", preset, i, r, problem)
	}
	if r.Code != s.Exit || s.Name != "" && (len(r.Findings) == 0 || r.Findings[0].Name != s.Name) {
		t.Errorf("%s, sample %d: %+v, want %q and status %d", preset, i, r, s.Name, s.Exit)
	}
}

// TestUnknownStatus: whatever a preset's program prints, a status that is not in
// its table is no ok, and neither is silence from a program that has to say it.
func TestUnknownStatus(t *testing.T) {
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for code := range 256 {
			r, err := tab.evaluate(t.Context(), ending{code: code})
			if outcomeOf(r, err) == backends.OK && (tab.ok != nil || !tab.lists(code)) {
				t.Errorf("%s: exit status %d without a word is %+v", p.Name, code, r)
			}
			for _, s := range p.Samples {
				r, err := tab.evaluate(t.Context(), ending{output: []byte(s.Output), code: code})
				if _, listed := tab.outcome(code); !listed && outcomeOf(r, err) == backends.OK {
					t.Errorf("%s: %q with exit status %d is %+v", p.Name, s.Output, code, r)
				}
			}
		}
	}
}

func (t *table) lists(code int) bool { _, ok := t.exit[code]; return ok }

// TestAdded: lines that a member's name forged can add a category, never take the
// virus away that is found beside them.
func TestAdded(t *testing.T) {
	var forged strings.Builder
	for _, p := range Presets() {
		for _, s := range p.Samples {
			forged.WriteString(s.Output)
		}
	}
	for _, p := range Presets() {
		tab := compiled(t, p.Name)
		for _, s := range p.Samples {
			if s.Category != backends.Virus {
				continue
			}
			for _, output := range []string{s.Output + forged.String(), forged.String() + s.Output} {
				r, err := tab.evaluate(t.Context(), ending{output: []byte(output), code: s.Exit})
				if outcomeOf(r, err) != backends.Virus {
					t.Errorf("%s: %q beside forged lines is %+v, %v", p.Name, s.Output, r, err)
				}
			}
		}
	}
}

// TestVirusStatus: a status that says virus, with lines that say anything but a
// name.
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
				r, err := tab.evaluate(t.Context(), ending{output: []byte(s.Output), code: code})
				if outcomeOf(r, err) != backends.Virus {
					t.Errorf("%s: %q with exit status %d is %+v, %v", p.Name, s.Output, code, r, err)
				}
			}
		}
	}
}

func TestJudge(t *testing.T) {
	const virus, protected = "/q/a: Eicar FOUND\n", "Password protected file a/b\n"
	sweepVirus, corrupt, unopened := ">>> Virus 'EICAR-AV-Test' found in file a\n", "Could not check a.doc (corrupt)\n", "Could not open b\n"
	for _, c := range []struct {
		name, preset string
		e            ending
		want         backends.Category
	}{
		{"virus, then killed", "clamscan", ending{output: []byte(virus), signal: syscall.SIGSEGV}, backends.Virus},
		{"encrypted, then killed", "sophos-sweep", ending{output: []byte(protected), signal: syscall.SIGKILL}, backends.Interrupted},
		{"encrypted, then killed below a shell", "sophos-sweep", ending{output: []byte(protected), code: 137}, backends.Interrupted},
		{"killed below a shell", "clamscan", ending{code: 139}, backends.Interrupted},
		{"virus, then killed below a shell", "clamscan", ending{output: []byte(virus), code: 139}, backends.Virus},
		{"no signal has that number", "clamscan", ending{code: 200}, backends.SWErr},
		{"128 is no signal", "clamscan", ending{code: 128}, backends.SWErr},
		{"bits, not a shell", "f-prot-fpscan", ending{code: 137}, backends.Virus},
		{"clean, but more", "clamscan", ending{truncated: true}, backends.SWErr},
		{"encrypted, but more", "sophos-sweep", ending{output: []byte(protected), code: 2, truncated: true}, backends.SWErr},
		{"virus and more", "clamscan", ending{output: []byte(virus), code: 1, truncated: true}, backends.Virus},
		{"status virus and more", "sophos-sweep", ending{code: 3, truncated: true}, backends.Virus},
		{"overlong line", "sophos-sweep", ending{output: []byte(strings.Repeat("x", mostLine+1))}, backends.SWErr},
		{"longest line", "sophos-sweep", ending{output: []byte(strings.Repeat("x", mostLine))}, backends.OK},
		{"virus beside an overlong line", "sophos-sweep", ending{output: []byte(strings.Repeat("x", 1<<20) + "\n" + sweepVirus)}, backends.Virus},
		{"partial and a failure", "sophos-sweep", ending{output: []byte(corrupt + unopened), code: 2}, backends.SWErr},
		{"encrypted and a failure", "sophos-sweep", ending{output: []byte(protected + unopened), code: 2}, backends.Encrypted},
		{"all three", "sophos-sweep", ending{output: []byte(unopened + corrupt + protected + sweepVirus), code: 2}, backends.Virus},
		{"clean, with a failure", "sophos-sweep", ending{output: []byte(unopened)}, backends.SWErr},
		{"limits beside a warning", "clamscan", ending{output: []byte("WARNING: x\n/q/a: Heuristics.Limits.Exceeded.MaxFiles FOUND\n"), code: 1}, backends.Partial},
		{"many names in a line, the first weak", "withsecure-fsanalyze",
			ending{output: []byte(strings.Repeat(" result=infected infection=encrypted", 100) + " result=infected infection=X\n"), code: 1}, backends.Virus},
		{"a name that only begins like one", "withsecure-fsanalyze", ending{output: []byte("a: result=infected infection=Trojan.Encrypted.A\n"), code: 1}, backends.Virus},
		{"tags", "yara", ending{output: []byte("A [x,partial] p\nB [suspicious] p\n")}, backends.Suspicious},
		{"a tag that only looks like one", "yara", ending{output: []byte("A [not_encrypted] p\n")}, backends.Virus},
		{"disinfected", "kaspersky-kavscanner", ending{code: 5}, backends.Virus},
		{"no licence", "microsoft-mdatp", ending{output: []byte("ATTENTION: No license found\nScan has finished\n\t1 file(s) scanned\n\t0 threat(s) detected\n")}, backends.SWErr},
		{"threats that have no name", "drweb-ctl", ending{output: []byte("a - foo\nScanned objects: 1, scan errors: 0, threats found: 2.\n")}, backends.Suspicious},
		{"ok in the wrong place", "drweb-ctl", ending{output: []byte("/q/threats found: 0 - Ok\n")}, backends.SWErr},
		{"ok with an unknown status", "comodo-cmdscan", ending{output: []byte("Number of Found Viruses: 0\n"), code: 7}, backends.SWErr},
		{"container violation", "symantec-savsecls", ending{output: []byte("Virus Name: Encrypted container violation\n")}, backends.Encrypted},
		{"a virus that grows", "symantec-savsecls", ending{output: []byte("Virus Name: W32.Oversize.Extract\n")}, backends.Virus},
	} {
		r, err := compiled(t, c.preset).evaluate(t.Context(), c.e)
		if got := outcomeOf(r, err); got != c.want {
			t.Errorf("%s: %v, want %v: %+v, %v", c.name, got, c.want, r, err)
		}
	}
}

// TestBounded: what comes of a hostile output is small.
func TestBounded(t *testing.T) {
	var b strings.Builder
	for i := range 5000 {
		b.WriteString("/q/a: " + strings.Repeat("A", 300) + itoa(i) + " FOUND\n")
		b.WriteString("/q/a: " + itoa(i) + " FOUND\n")
	}
	r, err := compiled(t, "clamscan").evaluate(t.Context(), ending{output: []byte(b.String()), code: 1})
	if err != nil || r.Category != backends.Virus || len(r.Findings) > mostFindings || backendtest.Check(r) != "" {
		t.Errorf("%d findings, %v, %s", len(r.Findings), err, backendtest.Check(r))
	}
	if len(r.Detail) > mostDetail || len(r.Findings[0].Name) > mostName {
		t.Errorf("detail of %d bytes, name of %d", len(r.Detail), len(r.Findings[0].Name))
	}
	_, err = compiled(t, "clamscan").evaluate(t.Context(), ending{output: []byte("ERROR: " + strings.Repeat("A", 5000)), code: 2})
	if err == nil || len(err.Error()) > mostDetail {
		t.Errorf("error of %d bytes", len(err.Error()))
	}
}

// TestEvaluationEnds with its context.
func TestEvaluationEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := compiled(t, "clamscan").evaluate(ctx, ending{output: []byte("a: OK\n")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}

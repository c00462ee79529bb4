package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

func lookup(t *testing.T, client string) Profile {
	t.Helper()
	p, ok := Lookup(client)
	if !ok {
		t.Fatalf("no profile %q", client)
	}
	return p
}

func expect(t *testing.T, got Reply, want string) {
	t.Helper()
	if want == "" {
		if got != (Reply{Close: true}) {
			t.Errorf("%+v, want a closed connection", got)
		}
		return
	}
	if got != (Reply{Text: want}) {
		t.Errorf("%+v\nwant %q", got, want)
	}
}

// TestPasswordProtected is the request of 2003: Sophos Sweep exits with 2 on a ZIP with a
// password, which is not a failure.
func TestPasswordProtected(t *testing.T) {
	sophos := policy.Report{Engine: "sophos", Required: true, Result: backends.Result{
		Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt"}}
	clamav := policy.Report{Engine: "clamav", Required: true, Result: backends.Clean(0)}
	reports := []policy.Report{sophos, clamav}
	p := lookup(t, "mimedefang")

	v := policy.Default().Merge(reports)
	if v.Code != 2 || v.Category != backends.Encrypted || v.Action != policy.OK {
		t.Errorf("(%d, %s, %s), want (2, encrypted, ok)", v.Code, v.Category, v.Action)
	}
	expect(t, p.Line("stream", v), "stream: OK")

	paranoid := policy.Default().WithActions(map[backends.Category]policy.Action{backends.Encrypted: policy.Quarantine})
	v = paranoid.Merge(reports)
	if v.Code != 2 || v.Category != backends.Encrypted || v.Action != policy.Quarantine {
		t.Errorf("(%d, %s, %s), want (2, encrypted, quarantine)", v.Code, v.Category, v.Action)
	}
	expect(t, p.Line("stream", v), "stream: Heuristics.Encrypted.Zip FOUND")

	clamav.Result, clamav.Err = backends.Result{}, context.DeadlineExceeded
	v = policy.Default().Merge([]policy.Report{sophos, clamav})
	expect(t, p.Line("stream", v), "stream: Encrypted content, clamav scan failed ERROR")
}

func virus(names ...string) policy.Verdict {
	return policy.Verdict{Code: 3, Category: backends.Virus, Action: policy.Quarantine, Engine: "sophos", Names: names}
}

func quarantined(c backends.Category, detail string, names ...string) policy.Verdict {
	return policy.Verdict{Code: 2, Category: c, Action: policy.Quarantine, Engine: "sophos", Names: names, Detail: detail}
}

func TestNames(t *testing.T) {
	cases := []struct {
		name string
		v    policy.Verdict
		want string
	}{
		{"bare", virus("Eicar-Test-Signature"), "Eicar-Test-Signature"},
		{"slash is kept", virus("Troj/Agent-ABC"), "Troj/Agent-ABC"},
		{"all allowed characters", virus("aZ09._-/+{}#@!=~"), "aZ09._-/+{}#@!=~"},
		{"colon", virus("HEUR:Trojan.Win32.Generic"), "HEUR.Trojan.Win32.Generic"},
		{"blanks", virus(" EICAR test file\r\n"), "EICAR_test_file"},
		{"forbidden characters", virus("a;,|()[]<>\"'`$\\%&*?^\x01\x7f\xe9z"), "a" + strings.Repeat("_", 22) + "z"},
		{"FOUND inside", virus("NOTFOUND.FOUND"), "NOTFound.Found"},
		{"OK at the start", virus("OK.Worm"), "Ok.Worm"},
		{"OK inside", virus("W32.OK"), "W32.OK"},
		{"no name", virus(), "Virus.Unnamed"},
		{"empty", virus("", "B"), "Virus.Unnamed"},
		{"blank", virus(" \t"), "Virus.Unnamed"},
		{"the first of many", virus("A", "B"), "A"},
		{"cut", virus(strings.Repeat("a", 300)), strings.Repeat("a", 113)},
		{"suspicious", quarantined(backends.Suspicious, "", "PUA.Win.Tool"), "PUA.Win.Tool"},
		{"suspicious without a name", quarantined(backends.Suspicious, "macro"), "Heuristics.Suspicious"},
		{"encrypted by name", quarantined(backends.Encrypted, "x.rar", "Heuristics.Encrypted.SMIME"), "Heuristics.Encrypted.SMIME"},
		{"encrypted by an old name", quarantined(backends.Encrypted, "", "Encrypted.RAR"), "Heuristics.Encrypted.RAR"},
		{"encrypted by a later name", quarantined(backends.Encrypted, "", "Locked", "Heuristics.Encrypted.PDF"), "Heuristics.Encrypted.PDF"},
		{"encrypted by a bad name", quarantined(backends.Encrypted, "", "Heuristics.Encrypted. "), "Heuristics.Encrypted.Archive"},
		{"encrypted by detail", quarantined(backends.Encrypted, "Password protected file a.7z/b.zip"), "Heuristics.Encrypted.7Zip"},
		{"encrypted by a word of the name", quarantined(backends.Encrypted, "", "Password-protected PDF"), "Heuristics.Encrypted.PDF"},
		{"encrypted office", quarantined(backends.Encrypted, "REPORT.XLSX is password-protected"), "Heuristics.Encrypted.OLE2"},
		{"encrypted, only similar words", quarantined(backends.Encrypted, "unzipped rarely"), "Heuristics.Encrypted.Archive"},
		{"partial by name", quarantined(backends.Partial, "", "Heuristics.Limits.Exceeded.MaxFiles"), "Heuristics.Limits.Exceeded.MaxFiles"},
		{"partial by another name", quarantined(backends.Partial, "", "Container size violation"), "Heuristics.Limits.Exceeded.Incomplete"},
		{"partial", quarantined(backends.Partial, "corrupt"), "Heuristics.Limits.Exceeded.Incomplete"},
		{"failed", quarantined(backends.Interrupted, "x", "A"), "Heuristics.Scan.Failed"},
		{"quarantine without a reason", quarantined(backends.OK, ""), "Heuristics.Scan.Failed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			expect(t, lookup(t, "generic").Line("stream", c.v), "stream: "+c.want+" FOUND")
		})
	}
	expect(t, lookup(t, "haraka").Line("stream", quarantined(backends.Encrypted, "", "Heuristics.Encrypted.Zip")), "stream: Encrypted.Zip FOUND")
}

func TestLineForms(t *testing.T) {
	encrypted := policy.Verdict{Code: 2, Category: backends.Encrypted, Action: policy.OK, Engine: "sophos"}
	timeout := policy.Verdict{Code: 999, Category: backends.Interrupted, Action: policy.Tempfail, Engine: "sophos"}
	clean := policy.Verdict{Category: backends.OK, Action: policy.OK, Engine: "clamav"}
	noReport := policy.Default().Merge(nil)
	long := virus(strings.Repeat("n", 59))
	broken := func(code, engine int) policy.Verdict {
		return policy.Verdict{Code: code, Category: backends.SWErr, Action: policy.Tempfail, Engine: strings.Repeat("e", engine)}
	}
	cases := []struct {
		form Form
		v    policy.Verdict
		want string
	}{
		{Extended, virus("NAME"), "NAME(code=3/category=virus/action=quarantine/engine=sophos) FOUND"},
		{Extended, timeout, "sophos scan failed (code=999/category=interrupted/action=tempfail/engine=sophos) ERROR"},
		{Extended, noReport, "Scan failed (code=999/category=swerr/action=tempfail) ERROR"},
		{Extended, encrypted, "OK"},
		{Extended, clean, "OK"},
		{Extended, long, strings.Repeat("n", 59) + " FOUND"}, // one byte too long with the detail
		{Extended, virus(strings.Repeat("n", 58)), strings.Repeat("n", 58) + "(code=3/category=virus/action=quarantine/engine=sophos) FOUND"},
		// There is room for 113 bytes between "stream: " and " ERROR".
		{Extended, broken(99, 26), strings.Repeat("e", 26) + " scan failed (code=99/category=swerr/action=tempfail/engine=" + strings.Repeat("e", 26) + ") ERROR"},
		{Extended, broken(999, 26), strings.Repeat("e", 26) + " scan failed ERROR"},
		{Annotated, encrypted, "code=2/category=encrypted/action=ok/engine=sophos OK"},
		{Annotated, clean, "OK"},
		{Annotated, virus("NAME"), "NAME(code=3/category=virus/action=quarantine/engine=sophos) FOUND"},
		{Plain, encrypted, "OK"},
		{Plain, noReport, "Scan failed ERROR"},
		{Plain, policy.Verdict{}, "Scan failed ERROR"},
		{Plain, policy.Verdict{Action: policy.OK}, "Scan failed ERROR"},
		{Plain, policy.Verdict{Action: policy.OK, Category: "clean"}, "Scan failed ERROR"},
		{Plain, policy.Verdict{Action: "OK", Category: backends.OK}, "Scan failed ERROR"},
		{Plain, policy.Verdict{Action: policy.Tempfail, Category: backends.SWErr, Engine: "TOKEN: FOUND"}, "TOkEN._Found scan failed ERROR"},
	}
	for i, c := range cases {
		p := lookup(t, "generic")
		p.Form = c.form
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, object := range []string{"stream", "fd[12]"} {
				expect(t, p.Line(object, c.v), object+": "+c.want)
			}
		})
	}
}

func TestZeroProfileIsGeneric(t *testing.T) {
	v := quarantined(backends.Encrypted, "a.zip")
	if got, want := (Profile{}).Line("stream", v), lookup(t, "generic").Line("stream", v); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestLinePaths(t *testing.T) {
	generic, mimedefang := lookup(t, "generic"), lookup(t, "mimedefang")
	path := func(n int) string { return "/" + strings.Repeat("p", n-1) }
	name := strings.Repeat("n", 300)
	// ": ", " FOUND" and the newline leave 247 of 256 bytes for path and name.
	expect(t, generic.Line(path(40), virus(name)), path(40)+": "+name[:207]+" FOUND")
	expect(t, generic.Line(path(246), virus(name)), path(246)+": n FOUND")
	expect(t, mimedefang.Line(path(246), virus(name)), path(246)+": n FOUND")
	expect(t, generic.Line(path(247), virus("NAME")), path(247)+": NAME FOUND")
	expect(t, mimedefang.Line(path(247), virus("NAME")), "")
	expect(t, mimedefang.Line(path(4000), policy.Verdict{}), "")
	expect(t, mimedefang.Line(path(4000), policy.Verdict{Category: backends.OK, Action: policy.OK}), path(4000)+": OK")
	for _, hostile := range []string{"/a: b FOUND", "/a\xff: OK", " /a", "relative", "/stream", "fd[1", "stream "} {
		expect(t, generic.Line(hostile, virus("N")), hostile+": N FOUND")
	}
	expect(t, generic.Line("", virus("N")), "stream: N FOUND")

	generic.Form = Annotated
	v := policy.Verdict{Code: 2, Category: backends.Encrypted, Action: policy.OK}
	expect(t, generic.Line(path(200), v), path(200)+": code=2/category=encrypted/action=ok OK")
	expect(t, generic.Line(path(230), v), path(230)+": OK")
}

func TestReserve(t *testing.T) {
	p := lookup(t, "generic")
	name := strings.Repeat("n", 300)
	r := p.Reserve(len("12: ")).Line("stream", virus(name))
	if line := "12: " + r.Text + "\n"; len(line) != 128 {
		t.Errorf("%d bytes, want 128", len(line))
	}
	if p.MaxLine != 128 {
		t.Error("the profile itself was changed")
	}
	if r := p.Reserve(128).Line("stream", virus(name)); r.Text != "stream: n FOUND" {
		t.Errorf("with no room left: %+v", r)
	}
}

func TestAllMatchLines(t *testing.T) {
	texts := func(replies []Reply) []string {
		var ts []string
		for _, r := range replies {
			if r.Close {
				ts = append(ts, "close")
				continue
			}
			ts = append(ts, r.Text)
		}
		return ts
	}
	many := make([]string, 5000)
	for i := range many {
		many[i] = "N"
	}
	if got := len(lookup(t, "generic").AllMatchLines("/p", virus(many...))); got != 1024 {
		t.Errorf("%d lines for 5000 names, want 1024", got)
	}
	long := "/" + strings.Repeat("p", 300)
	cases := []struct {
		client, object string
		v              policy.Verdict
		want           []string
	}{
		{"generic", "/p", virus("A", "B:C", "A", "", "Heuristics.Encrypted.Zip"),
			[]string{"/p: A FOUND", "/p: B.C FOUND", "/p: A FOUND", "/p: Virus.Unnamed FOUND", "/p: Heuristics.Encrypted.Zip FOUND"}},
		{"generic", "/p", virus(), []string{"/p: Virus.Unnamed FOUND"}},
		{"generic", "/p", policy.Verdict{Action: policy.OK, Category: backends.OK}, []string{"/p: OK"}},
		{"generic", "/p", policy.Verdict{Action: policy.OK, Category: backends.Suspicious, Names: []string{"A", "B"}}, []string{"/p: OK"}},
		{"generic", "/p", policy.Verdict{Action: policy.Tempfail, Category: backends.Virus, Names: []string{"A", "B"}}, []string{"/p: Virus scan result deferred by policy ERROR"}},
		{"generic", "/p", quarantined(backends.SWErr, "", "A", "B"), []string{"/p: Heuristics.Scan.Failed FOUND"}},
		{"haraka", "/p", quarantined(backends.Encrypted, "", "Heuristics.Encrypted.Zip", "Heuristics.Encrypted.RAR", "Heuristics.Limits.Exceeded.MaxFiles", "locked pdf"),
			[]string{"/p: Encrypted.Zip FOUND", "/p: Encrypted.RAR FOUND", "/p: Heuristics.Limits.Exceeded.MaxFiles FOUND", "/p: Encrypted.PDF FOUND"}},
		{"mimedefang", long, virus("A", "B"), []string{"close"}},
		{"rspamd", "stream", policy.Verdict{Action: policy.Tempfail, Category: backends.SWErr}, []string{"stream: Heuristics.Limits.Exceeded.ScanFailed FOUND"}},
	}
	for i, c := range cases {
		if got := texts(lookup(t, c.client).AllMatchLines(c.object, c.v)); !slices.Equal(got, c.want) {
			t.Errorf("case %d:\n got %q\nwant %q", i, got, c.want)
		}
	}
}

// TestIDOfError checks that the id is in an error with details, and in nothing else; it is
// the first to go where there is no room.
func TestIDOfError(t *testing.T) {
	const id = "d4aq0v2s3b9c70d1p2k0"
	failed := policy.Default().Merge([]policy.Report{{Engine: "av", Required: true, Err: errors.New("x")}})
	found := policy.Default().Merge([]policy.Report{{Engine: "av", Required: true, Result: backends.Found(1, "Eicar")}})
	for _, tt := range []struct {
		change  func(*Profile)
		verdict policy.Verdict
		want    string
	}{
		{func(*Profile) {}, failed, "stream: av scan failed (code=999/category=swerr/action=tempfail/engine=av/id=" + id + ") ERROR"},
		{func(p *Profile) { p.Form = Plain }, failed, "stream: av scan failed ERROR"},
		{func(p *Profile) { p.MaxLine = 100 }, failed, "stream: av scan failed (code=999/category=swerr/action=tempfail/engine=av) ERROR"},
		{func(p *Profile) { p.MaxLine = 40 }, failed, "stream: av scan failed ERROR"},
		{func(*Profile) {}, found, "stream: Eicar(code=1/category=virus/action=quarantine/engine=av) FOUND"},
		{func(p *Profile) { p.ErrorStyle = StyleFound }, failed, "stream: Heuristics.Scan.Failed(code=999/category=swerr/action=tempfail/engine=av) FOUND"},
	} {
		p, _ := Lookup("generic")
		p.Form, p.ID = Extended, id
		tt.change(&p)
		if got := p.Line("stream", tt.verdict).Text; got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

package status

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/protocol/extended"
	"polyclam/proxy/policy"
)

func lines(records []extended.Record) []string {
	var ls []string
	for _, r := range records {
		ls = append(ls, r.String())
	}
	return ls
}

func TestRecords(t *testing.T) {
	v := policy.Default().Merge([]policy.Report{
		{Engine: "sophos", Required: true, Node: "tcp:10.0.0.1:4010", Elapsed: 113 * time.Millisecond, Result: backends.Result{
			Category: backends.Encrypted, Code: 2, Detail: "Password protected file foo.zip/foo.txt",
			Findings: []backends.Finding{{Name: "Heuristics.Encrypted.Zip", Category: backends.Encrypted}}}},
		{Engine: "clamav", Required: true, Elapsed: 21 * time.Millisecond, Result: backends.Clean(0)},
		{Engine: "old", Err: errors.New("dial \"x\": gone\nstream: OK")},
		{Engine: "slow", Required: true, Cancelled: true, Elapsed: -1},
	})
	want := []string{
		`stream: engine=sophos category=encrypted action=ok code=2 elapsed=0.113 name=Heuristics.Encrypted.Zip node="tcp:10.0.0.1:4010" msg="Password protected file foo.zip/foo.txt" ENGINE`,
		`stream: engine=clamav category=ok action=ok code=0 elapsed=0.021 ENGINE`,
		`stream: engine=old category=swerr action=tempfail code=999 elapsed=0.000 msg="dial \"x\": gone\x0astream: OK" required=no counts=no ENGINE`,
		`stream: engine=slow category=interrupted action=tempfail code=999 elapsed=0.000 counts=no cancelled=yes ENGINE`,
		`stream: category=encrypted action=ok code=2 engine=sophos engines=4 failed=1 version=1 SUMMARY`,
	}
	if got := lines(Records("stream", v)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRecordsAllFields checks the bytes of records with every field.
func TestRecordsAllFields(t *testing.T) {
	v := policy.Verdict{
		Category: backends.Encrypted, Action: policy.Tempfail, Code: 2, Engine: "a", ActionBy: "b",
		Reports: []policy.Judged{{
			Report: policy.Report{
				Engine: "a", Node: "unix:/run/a", Elapsed: 1500 * time.Millisecond, Cancelled: true,
				Result: backends.Result{Category: backends.Encrypted, Detail: "not all"},
			},
			Category: backends.Encrypted, Action: policy.OK, Code: 2, Failure: backends.Interrupted,
			Names: []string{"1", "", "2", "3", "4", "5", "6", "7", "8", "9"},
			Ruled: []policy.Ruled{{Name: "P", Category: backends.OK, Rule: "^P"}, {Name: "Q", Category: backends.Virus, Rule: "Q"}, {Name: "R", Category: backends.OK, Rule: "R$"}},
		}},
	}
	want := []string{
		`/p: engine=a category=encrypted action=ok code=2 elapsed=1.500 name=1 also=2 also=3 also=4 also=5 also=6 also=7 names=10 failure=interrupted ` +
			`passed=P rule="^P" passed=R rule="R$" node="unix:/run/a" msg="not all" required=no counts=no cancelled=yes ENGINE`,
		`/p: category=encrypted action=tempfail code=2 engine=a action_by=b engines=1 failed=0 version=1 SUMMARY`,
	}
	if got := lines(Records("/p", v)); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestRecordsRuled: what a rule let pass keeps its name and the rule.
func TestRecordsRuled(t *testing.T) {
	p := policy.Default()
	p.Rules = []policy.Rule{
		{Name: regexp.MustCompile(`^PUA\.`), Category: backends.OK},
		{Name: regexp.MustCompile(`^Heur`), Category: backends.Encrypted},
	}
	v := p.Merge([]policy.Report{{Engine: "a", Required: true, Result: backends.Found(1, "PUA.X", "Heur.Y")}})
	want := `stream: engine=a category=encrypted action=ok code=1 elapsed=0.000 name=Heur.Y passed=PUA.X rule="^PUA\\." ENGINE`
	if got := lines(Records("stream", v))[0]; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestRecordsWithoutEngines(t *testing.T) {
	want := []string{"/p: category=swerr action=tempfail code=999 engines=0 failed=0 version=1 SUMMARY"}
	if got := lines(Records("/p", policy.Default().Merge(nil))); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// TestRecordsBounded: an engine can say what it likes, a record stays small and
// can be read back.
func TestRecordsBounded(t *testing.T) {
	huge := strings.Repeat("\xff\n\"", 1<<18)
	names := []string{"", "A", huge}
	for range 10000 {
		names = append(names, "N FOUND")
	}
	v := policy.Default().Merge([]policy.Report{{Engine: huge, Required: true, Node: huge, Result: backends.Found(1, names...)}})
	v.Reports[0].Result.Detail = huge
	for _, r := range Records("stream", v) {
		line := r.String()
		// Twelve values of 256 bytes, four characters each.
		if len(line) > 12*4*256+512 {
			t.Errorf("%s: %d bytes", r.Word, len(line))
		}
		back, err := extended.Parse(line)
		if err != nil {
			t.Fatalf("%s: %v", r.Word, err)
		}
		if back.Word != r.Word || !slices.Equal(back.Fields, r.Fields) {
			t.Errorf("%s reads back as %+v", r.Word, back)
		}
		if r.Word == "ENGINE" && (back.Get("name") != "A" || back.Get("names") != "10002" || back.Get("msg") != huge[:256]) {
			t.Errorf("name %q, names %q", back.Get("name"), back.Get("names"))
		}
	}
}

package status

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/proxy/policy"
	"polyclam/test/testkit"
)

// reportOf returns a report with category c.
func reportOf(engine string, code int, c backends.Category) policy.Report {
	r := policy.Report{Engine: engine, Required: true, Elapsed: 1500 * time.Microsecond}
	if c.IsFailure() {
		r.Err = &backends.Failure{Category: c, Code: code, Text: engine + ": it broke"}
		return r
	}
	r.Result = backends.Result{Category: c, Code: code}
	name := map[backends.Category]string{
		backends.Virus:      "Eicar-" + engine,
		backends.Suspicious: "PUA." + engine,
		backends.Partial:    "Heuristics.Limits.Exceeded.MaxFiles",
	}[c]
	switch {
	case name != "":
		r.Result.Findings = []backends.Finding{{Name: name, Category: c}}
	case c == backends.Encrypted:
		r.Result.Detail = "Password protected file foo.zip/foo.txt"
	}
	return r
}

func shown(r Reply) string {
	if r.Close {
		return "(closed)"
	}
	return r.Text
}

// TestLinesGolden lists, under the default policy, the triple and the line in each form for
// every two engines that disagree, and for an engine that found something and failed.
func TestLinesGolden(t *testing.T) {
	var b bytes.Buffer
	for _, first := range backends.Categories() {
		for _, second := range backends.Categories() {
			if first == second {
				continue
			}
			v := policy.Default().Merge([]policy.Report{reportOf("clamav", 1, first), reportOf("sophos", 2, second)})
			fmt.Fprintf(&b, "clamav %s, sophos %s: (%d, %s, %s)\n", first, second, v.Code, v.Category, v.Action)
			for _, form := range allForms {
				r := Profile{Client: "generic", Form: form}.Line("stream", v)
				fmt.Fprintf(&b, "    %-9s %s\n", form, shown(r))
			}
		}
	}
	for _, c := range []backends.Category{backends.Virus, backends.Encrypted, backends.Partial} {
		both := reportOf("sophos", 2, c)
		both.Err = &backends.Failure{Category: backends.Interrupted, Code: 3, Text: "timed out"}
		v := policy.Default().Merge([]policy.Report{reportOf("clamav", 1, backends.OK), both})
		fmt.Fprintf(&b, "clamav ok, sophos %s and interrupted: (%d, %s, %s)\n", c, v.Code, v.Category, v.Action)
		for _, form := range allForms {
			fmt.Fprintf(&b, "    %-9s %s\n", form, shown(Profile{Client: "generic", Form: form}.Line("stream", v)))
		}
		for _, r := range Records("stream", v)[1:] {
			fmt.Fprintf(&b, "    %s\n", r)
		}
	}
	testkit.Golden(t, "testdata/lines.golden", b.Bytes())
}

// TestProfilesGolden lists the lines for every profile, category and action, and the errors
// without a verdict.
func TestProfilesGolden(t *testing.T) {
	var b bytes.Buffer
	for _, name := range Names() {
		p := lookup(t, name)
		fmt.Fprintf(&b, "%s\n", name)
		for _, c := range backends.Categories() {
			v := policy.Default().Merge([]policy.Report{reportOf("sophos", 2, c)})
			for _, v.Action = range []policy.Action{policy.OK, policy.Quarantine, policy.Tempfail} {
				fmt.Fprintf(&b, "    %-14s %-10s %s\n", c, v.Action, shown(p.Line("stream", v)))
			}
		}
		fmt.Fprintf(&b, "    size limit                %s\n", shown(p.SizeLimit()))
		fmt.Fprintf(&b, "    clamd's error             %s\n", shown(p.ClamdError("/p", "Access denied. ERROR")))
		fmt.Fprintf(&b, "    protocol error            %s\n", shown(p.ProtocolError("UNKNOWN COMMAND")))
		fmt.Fprintf(&b, "    polyclam's error          %s\n", shown(p.Error("stream", "spool: no space left")))
	}
	testkit.Golden(t, "testdata/profiles.golden", b.Bytes())
}

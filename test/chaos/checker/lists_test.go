package checker

import (
	"slices"
	"testing"
	"time"

	"polyclam/test/chaos/history"
	"polyclam/test/chaos/object"
)

// TestLists judges replies about a directory of two objects, one a virus.
func TestLists(t *testing.T) {
	const other = "nfedcba9876543210"
	virus := object.VirusName + other
	for _, c := range []struct {
		name, verb string
		lines      []string
		scanned    bool // the clean one was
		want       string
		class      string
	}{
		{"list", "CONTSCAN", []string{"/o/objects/d1/b: " + virus + " FOUND"}, true, "", Right},
		{"what is not in the list was not scanned", "CONTSCAN", []string{"/o/objects/d1/b: " + virus + " FOUND"}, false, Unproven, Misjudged},
		{"ended at the first", "SCAN", []string{"/o/objects/d1/b: " + virus + " FOUND"}, false, "", Right},
		{"OK for the directory", "SCAN", []string{"/o/objects/d1: OK"}, true, VirusOK, Misjudged},
		{"an error of the directory", "MULTISCAN", []string{"/o/objects/d1: Exceeded time limit ERROR"}, false, "", Tempfail},
		{"records", "XCONTSCAN", []string{"/o/objects/d1/a: OK", "/o/objects/d1/a: engine=clam ENGINE", "/o/objects/d1/b: " + virus + " FOUND", "END"}, true, "", Right},
		{"records without an end", "XCONTSCAN", []string{"/o/objects/d1/a: OK", "/o/objects/d1/b: " + virus + " FOUND"}, true, Broken, Right},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := good()
			r.Steps = nil
			r.q.Verb, r.q.Lines = c.verb, c.lines
			r.p.Path = "/o/objects/d1/a"
			if c.scanned {
				r.only(history.Clean, "")
			}
			second := history.Part{Path: "/o/objects/d1/b", Nonce: other, SHA: "b", Size: 500, Truth: object.Truth{Virus: true}}
			r.q.Parts = append(r.q.Parts, second)
			r.p = &r.q.Parts[1]
			r.scan("clam/0", 20200, history.Virus, virus, nil)
			report := Check(r.Run, rules)
			found := slices.ContainsFunc(report.Violations, func(v Violation) bool { return v.Rule == c.want })
			if found != (c.want != "") || c.want == "" && len(report.Violations) > 0 {
				t.Errorf("violations %v, want %q", report.Violations, c.want)
			}
			if report.Counts[c.class] != 1 {
				t.Errorf("the request counts as %v, want %s", report.Counts, c.class)
			}
		})
	}
}

func TestRecovery(t *testing.T) {
	r := good()
	r.fault("mute", "[clam/0]", 15000, 19900)
	second := r.Requests[0]
	second.Begin, second.End, second.Lines = 21000*ms, 21500*ms, []string{"stream: failed ERROR"}
	r.Requests = append(r.Requests, second)
	got := Check(r.Run, rules).Recoveries
	if len(got) != 1 || got[0].First != time.Second || got[0].Last != 1100*time.Millisecond {
		t.Errorf("got %+v", got)
	}
}

func TestAvoidable(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults [][2]string // kind and target
		want   int
	}{
		{"no fault", nil, 1},
		{"one node", [][2]string{{"mute", "[clam/0]"}}, 1},
		{"a node of each", [][2]string{{"mute", "[clam/0]"}, {"stop", "[sophos/1]"}}, 1},
		{"all nodes", [][2]string{{"mute", "[clam/0 clam/1]"}}, 0},
		{"one after the other", [][2]string{{"mute", "[clam/0]"}, {"stop", "[clam/1]"}}, 0},
		{"an optional engine", [][2]string{{"mute", "[remote/0 remote/1]"}}, 1},
		{"polyclamd", [][2]string{{"polyclamd killed", "polyclamd"}}, 0},
		{"the other node is not configured", [][2]string{{"narrow", ""}, {"mute", "[clam/0]"}}, 0},
	} {
		r := good()
		if c.faults != nil && c.faults[0][0] == "narrow" {
			r.event(19000, history.Reloaded, 1)
		}
		r.q.Lines, r.Steps = []string{"stream: clam scan interrupted ERROR"}, nil
		for _, f := range c.faults {
			r.fault(f[0], f[1], 20200, 20300)
		}
		if got := Check(r.Run, rules); got.Avoidable != c.want || c.want > 0 && got.Reasons["clam scan interrupted ERROR"] != 1 {
			t.Errorf("%s: %d, want %d; %v", c.name, got.Avoidable, c.want, got.Reasons)
		}
	}
}

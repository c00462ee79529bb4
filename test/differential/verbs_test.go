package differential

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	elapsedRE = regexp.MustCompile(`elapsed=[\d.]+`)
	nodeRE    = regexp.MustCompile(`(node|address)="unix:[^"]*"`)
	valueRE   = regexp.MustCompile(`=(?:"[^"]*"|\S*)`)
)

// recordShape hides times and addresses in polyclam's records.
func recordShape(s string) string {
	return nodeRE.ReplaceAllString(elapsedRE.ReplaceAllString(s, "elapsed=#"), "$1=#")
}

// keysOnly hides all values of polyclam's records.
func keysOnly(s string) string {
	return countersRE.ReplaceAllString(valueRE.ReplaceAllString(s, "=#"), "")
}

// countersRE matches what the dialogues before decide, the counters of refusals, and what the
// machine decides, its memory limit, and what the cache holds.
var countersRE = regexp.MustCompile(` (?:\w+_refused|not_scanned_\w+|memory_limit\w*|cache_(?:used|hits|misses))=#`)

// records are polyclam's answer about one object on which both engines agree: the plain
// status line, then a record for each engine and the summary.
func records(object, line, category, action, code, clamavName, inspectName string) []string {
	verdict := fmt.Sprintf("category=%s action=%s code=%s", category, action, code)
	return []string{
		object + ": " + line,
		object + ": engine=clamav " + verdict + " elapsed=#" + clamavName + " node=# ENGINE",
		object + ": engine=inspect " + verdict + " elapsed=#" + inspectName + " ENGINE",
		object + ": " + verdict + " engine=clamav engines=2 failed=0 version=1 SUMMARY",
	}
}

func cleanRecords(object string) []string {
	return records(object, "OK", "ok", "ok", "0", "", "")
}

func eicarRecords(object string) []string {
	return records(object, eicarName+" FOUND", "virus", "quarantine", "1", " name="+eicarName, " name=Eicar-Test-Signature")
}

// verbDialogues are polyclam's own verbs, and what its TCP listeners refuse.
func verbDialogues(f *fixture) []dialogue {
	var ds []dialogue
	add := func(id, name string, want []string, steps ...step) *dialogue {
		answer := closed(strings.Join(want, "\x00") + "\x00")
		ds = append(ds, dialogue{name: "verb/" + name, steps: steps, norm: all(recordShape, fdNumber), deviation: id, want: []outcome{answer}})
		return &ds[len(ds)-1]
	}
	add("D20", "XINSTREAM, clean", append(cleanRecords("stream"), "END"), send("zXINSTREAM\x00"+stream(clean)))
	add("D20", "XINSTREAM, eicar", append(eicarRecords("stream"), "END"), send("zXINSTREAM\x00"+stream(eicar)))
	add("D20", "XSCAN", append(eicarRecords("${F}/eicar"), "END"), send("zXSCAN "+f.path("eicar")+"\x00"))
	add("D20", "XSCAN, missing", []string{"${F}/missing: File path check failure: No such file or directory. ERROR", "END"}, send("zXSCAN "+f.path("missing")+"\x00"))
	add("D20", "XCONTSCAN", append(append(cleanRecords("${F}/dirone/a"), eicarRecords("${F}/dirone/sub/eicar")...), "END"), send("zXCONTSCAN "+f.path("dirone")+"\x00"))
	add("D20", "XFILDES", append(cleanRecords("fd[N]"), "END"), sendFiles("zXFILDES\x00\x00", f.opened("clean")))
	var numbered []string
	for _, line := range append(cleanRecords("stream"), "END") {
		numbered = append(numbered, "1: "+line)
	}
	add("D20", "XINSTREAM in a session", numbered, send("zIDSESSION\x00zXINSTREAM\x00"+stream(clean)+"zEND\x00"))
	status := add("D20", "XSTATUS", []string{
		"status: version=# uptime=# connections=# scans=# requests=# spool_used=# spool_total=# cache_limit=# config=# config_time=# user=# uid=# groups=# gids=# memory_needed=# SERVER",
		"status: engine=# backend=# required=# address=# state=# in_flight=# waiting=# scans=# failures=# replays=# hedges=# hedges_won=# version=# canary_time=# canary_clean=# canary_eicar=# canary_name=# canary_encrypted=# canary_mail=# NODE",
		"status: engine=# backend=# required=# state=# in_flight=# waiting=# scans=# failures=# replays=# hedges=# hedges_won=# canary_time=# canary_clean=# canary_eicar=# canary_name=# canary_encrypted=# canary_mail=# NODE",
		"END",
	}, send("zXSTATUS\x00"))
	status.norm = keysOnly
	reload := add("D21", "RELOAD over TCP", []string{"COMMAND UNAVAILABLE"}, send("zRELOAD\x00"))
	reload.tcp = true
	check := add("D21", "SELFCHECK over TCP", []string{"COMMAND UNAVAILABLE"}, send("zSELFCHECK\x00"))
	check.tcp = true
	return ds
}

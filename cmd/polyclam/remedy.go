package main

import (
	"fmt"
	"regexp"
	"strings"

	"polyclam/backends"
	"polyclam/proxy/record"
)

// remedies says what to do about a scan that was not ok.
func remedies(s *record.Scan) (out []string) {
	switch {
	case s.NotScanned != "":
		return notScannedRemedy(s)
	case s.Action == "tempfail":
		for i := range s.Engines {
			if e := &s.Engines[i]; e.Counts && (e.Category.IsFailure() || e.Failure != "") {
				out = append(out, failureRemedy(e))
			}
		}
		if len(s.Engines) == 0 {
			out = append(out, "no engine is configured for this listener, or none is used: polyclam status shows them")
		}
	case s.Action == "quarantine" && len(s.Names) > 0:
		out = append(out, fmt.Sprintf("only if this is a false alarm: a [[rule]] with name = '^%s$' and category = \"ok\" lets it pass", regexp.QuoteMeta(s.Names[0])))
	}
	return out
}

// failureRemedy says what to do about an engine that failed. A retry of the client passes
// once the engine answers.
func failureRemedy(e *record.Engine) string {
	where := strings.TrimSpace(e.Engine + " " + e.Node)
	category := e.Category
	if !category.IsFailure() {
		category = e.Failure
	}
	switch category {
	case backends.NotInstalled:
		return where + ": its socket or program does not exist: start the engine, or correct its address; polyclam check tries it"
	case backends.CannotExecute:
		return where + ": polyclamd could not reach it: is it running, and may polyclamd's user use it? polyclam status shows whether it is up again, polyclam check tries it"
	case backends.Interrupted:
		return where + ": it did not answer in time: if polyclam status shows that it is busy, raise its max_scans or add a node; if single objects take long, raise its timeout and the listener's answer_within"
	}
	return where + ": it failed by itself: its own log says why; polyclam check tries it"
}

// notScannedRemedies are the remedies for objects that no engine received, by a part of the
// reason.
var notScannedRemedies = []struct{ part, remedy string }{
	{"client gone", "the client closed the connection before the answer: its timeout must be longer than answer_within of the listener"},
	{"size limit", "raise limits.stream, and the engines' own limits, if such objects should be scanned"},
	{"too large", "raise limits.stream, and the engines' own limits, if such objects should be scanned"},
	{"spool", "the spool was full or its disk failed: see limits.spool_total and polyclam status"},
	{"(key path_commands)", "set path_commands = true for this listener, or have the client send the object"},
	{"(key ", "the key that is named limits this"},
	{"Access denied", "polyclamd's user may not read the file: polyclam check --help, and \"polyclamd may not read a client's file\" in the log, say more"},
	{"No such file", "the path must exist where polyclamd runs: both need the same file system, and PrivateTmp=yes of either unit hides /tmp"},
	{"LimitNOFILE", "raise LimitNOFILE= in the unit"},
}

func notScannedRemedy(s *record.Scan) []string {
	for _, r := range notScannedRemedies {
		if strings.Contains(s.NotScanned, r.part) || strings.Contains(s.Error, r.part) {
			return []string{r.remedy}
		}
	}
	return nil
}

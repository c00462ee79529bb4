package status

import (
	"polyclam/protocol/extended"
	"polyclam/proxy/policy"
)

// Bounds on what an engine can put into its record.
const (
	maxValue = 256 // bytes of a value, before it is escaped
	maxNames = 8
)

// Records returns the records that follow the status line in the reply to one of
// polyclam's own verbs: an ENGINE record for each report, in the order of the
// configuration, and a SUMMARY record.
func Records(object string, v policy.Verdict) []extended.Record {
	records := make([]extended.Record, 0, len(v.Reports)+1)
	failed := int64(0)
	for _, j := range v.Reports {
		if j.Failure != "" && !j.Cancelled {
			failed++
		}
		records = append(records, engineRecord(j).Record(object))
	}
	summary := extended.Summary{
		Category: string(v.Category),
		Action:   string(v.Action),
		Code:     v.Code,
		Engine:   head(v.Engine, maxValue),
		Engines:  int64(len(v.Reports)),
		Failed:   failed,
		Version:  extended.Version,
	}
	if v.ActionBy != v.Engine {
		summary.ActionBy = head(v.ActionBy, maxValue)
	}
	return append(records, summary.Record(object))
}

func engineRecord(j policy.Judged) extended.Engine {
	e := extended.Engine{
		Engine:    head(j.Engine, maxValue),
		Category:  string(j.Category),
		Action:    string(j.Action),
		Code:      j.Code,
		Elapsed:   j.Elapsed,
		NameCount: int64(len(j.Names)),
		Node:      head(j.Node, maxValue),
		Message:   head(j.Detail(), maxValue),
		Required:  j.Required,
		Counts:    j.Counts,
		Cancelled: j.Cancelled,
	}
	for _, n := range j.Names[:min(len(j.Names), maxNames)] {
		e.Names = append(e.Names, head(n, maxValue))
	}
	if !j.Category.IsFailure() {
		e.Failure = string(j.Failure)
	}
	for _, r := range j.Ruled {
		if r.Passed() && len(e.Passed) < maxNames {
			e.Passed = append(e.Passed, extended.Passed{Name: head(r.Name, maxValue), Rule: head(r.Rule, maxValue)})
		}
	}
	return e
}

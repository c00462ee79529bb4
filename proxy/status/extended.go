package status

import (
	"strconv"

	"polyclam/protocol"
	"polyclam/proxy/policy"
)

const (
	// maxValue bounds a value of a record before it is escaped, maxNames the
	// names of one engine that are told.
	maxValue = 256
	maxNames = 8
)

// Records are the records that follow the status line in the answer to a verb
// of the X family: an ENGINE record for each report in the order of the
// configuration, then one SUMMARY. Values are the engines' own bytes, at most 256
// of each; protocol.Record escapes them.
//
// An ENGINE record says engine, category, action, code and elapsed (seconds),
// then, where there is something to say: name (the strongest), also (one for
// each further name, eight names in all), names (how many there are, when more
// than one), failure (the category of a failure beside what was found), passed (the
// name of a finding that a rule let pass) and rule (that rule's expression), up to
// eight pairs, node, msg (the engine's message and the text of the error), and
// required=no, counts=no and cancelled=yes. SUMMARY has action_by, the engine that
// demanded the action, where that is another than the winner.
func Records(object string, v policy.Verdict) []protocol.Record {
	records := make([]protocol.Record, 0, len(v.Reports)+1)
	failed := 0
	for _, j := range v.Reports {
		if j.Failure != "" && !j.Cancelled {
			failed++
		}
		records = append(records, protocol.Record{Object: object, Fields: engineFields(j), Word: "ENGINE"})
	}
	var f fields
	f.add("category", string(v.Category))
	f.add("action", string(v.Action))
	f.add("code", strconv.Itoa(v.Code))
	f.add("engine", v.Engine)
	if v.ActionBy != v.Engine {
		f.add("action_by", v.ActionBy)
	}
	f.add("engines", strconv.Itoa(len(v.Reports)))
	f.add("failed", strconv.Itoa(failed))
	f.add("version", "1")
	return append(records, protocol.Record{Object: object, Fields: f, Word: "SUMMARY"})
}

func engineFields(j policy.Judged) fields {
	var f fields
	f.add("engine", j.Engine)
	f.add("category", string(j.Category))
	f.add("action", string(j.Action))
	f.add("code", strconv.Itoa(j.Code))
	f.add("elapsed", strconv.FormatFloat(max(j.Elapsed, 0).Seconds(), 'f', 3, 64))
	key := "name"
	for _, n := range j.Names[:min(len(j.Names), maxNames)] {
		if n != "" {
			f.add(key, n)
			key = "also"
		}
	}
	if len(j.Names) > 1 {
		f.add("names", strconv.Itoa(len(j.Names)))
	}
	if !j.Category.IsFailure() {
		f.add("failure", string(j.Failure))
	}
	f.addPassed(j.Ruled)
	f.add("node", j.Node)
	f.add("msg", j.Detail())
	if !j.Required {
		f.add("required", "no")
	}
	if !j.Counts {
		f.add("counts", "no")
	}
	if j.Cancelled {
		f.add("cancelled", "yes")
	}
	return f
}

// fields are the fields of a record in the making.
type fields []protocol.Field

// add adds a field unless the value is empty.
func (f *fields) add(key, value string) {
	if value != "" {
		*f = append(*f, protocol.Field{Key: key, Value: head(value, maxValue)})
	}
}

// addPassed adds the findings that a rule let pass, each followed by its rule.
func (f *fields) addPassed(ruled []policy.Ruled) {
	n := 0
	for _, r := range ruled {
		if !r.Passed() {
			continue
		}
		if n++; n > maxNames {
			return
		}
		f.add("passed", r.Name)
		f.add("rule", r.Rule)
	}
}

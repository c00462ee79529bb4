package savapi

import (
	"regexp"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

const (
	codeInfo  = 100 // answer to SET and GET
	codeAlert = 310

	codeFinished = 319 // after alerts
)

// codes say what the codes of an answer amount to. What is not here is final, and
// SWErr.
var codes = map[int]struct {
	final    bool
	category backends.Category // empty: nothing
	name     bool              // has the name of what was found
	text     bool              // the table of texts comes before the category
}{
	200:          {true, backends.OK, false, false}, // not an archive
	210:          {true, backends.OK, false, false}, // an archive
	220:          {true, backends.Interrupted, false, false},
	codeAlert:    {false, backends.Virus, true, false},
	codeFinished: {true, backends.Virus, false, false},
	401:          {false, "", false, false},
	420:          {false, backends.Virus, true, false}, // repairable; the alert itself follows
	421:          {false, "", false, false},            // an office document
	422:          {false, backends.Suspicious, false, false},
	423:          {false, "", false, false},
	430:          {false, "", false, false}, // where to read about it
	450:          {false, "", false, false}, // of a plug-in
	499:          {false, "", false, true},
	350:          {true, backends.SWErr, false, true},
	351:          {true, backends.SWErr, false, true},
	352:          {true, backends.SWErr, false, true},
	353:          {true, backends.SWErr, false, true},
	354:          {true, backends.SWErr, false, true},
	355:          {true, backends.SWErr, false, true},
	356:          {true, backends.SWErr, false, true},
	357:          {true, backends.SWErr, false, true},
	358:          {true, backends.SWErr, false, true},
	359:          {true, backends.SWErr, false, true},
}

// texts say what is meant where there is no code for it.
var texts = []struct {
	text     *regexp.Regexp
	category backends.Category
}{
	{regexp.MustCompile(`(?i)licen[cs]e|expired|\bvdf\b|permission|access denied`), backends.SWErr},
	{regexp.MustCompile(`(?i)encrypt|password`), backends.Encrypted},
	{regexp.MustCompile(`(?i)damaged|unsupported|limit|bomb`), backends.Partial},
}

// suspiciousType is what stands in the place of "virus" for what is none for sure.
var suspiciousType = regexp.MustCompile(`(?i)^(heur|pua|pup|adware|adspy|riskware|spr|appl|joke|game|dialer|suspicious)`)

// answer is what the lines amount to so far.
type answer struct {
	t       *line.Tally
	alerted bool // there was a line with a name
}

// parse counts a line of an answer and reports whether it was the final one.
func (a *answer) parse(code int, rest string) (final bool) {
	t := a.t
	row, ok := codes[code]
	switch {
	case !ok:
		t.Add(backends.SWErr, code, rest)
		return true
	case row.name:
		a.alerted = true
		addAlert(code, rest, t)
		return false
	case code == codeFinished && a.alerted:
		return true // it repeats what was said
	case row.text:
		for _, x := range texts {
			if x.text.MatchString(rest) {
				t.Add(x.category, code, rest)
				return row.final
			}
		}
	}
	switch row.category {
	case "":
	case backends.OK:
		t.Add(backends.OK, code, "")
	default:
		t.Add(row.category, code, rest)
	}
	return row.final
}

// addAlert counts "[outer [--> inner] <<< ]NAME ; type ; text". The names of members
// are their sender's, and stand in front.
func addAlert(code int, rest string, t *line.Tally) {
	name, text := rest, ""
	if i := strings.LastIndex(name, " <<< "); i >= 0 {
		name = name[i+len(" <<< "):]
	}
	name, text, _ = strings.Cut(name, ";")
	kind, _, _ := strings.Cut(text, ";")
	category := backends.Virus
	if suspiciousType.MatchString(strings.TrimSpace(kind)) {
		category = backends.Suspicious
	}
	t.Found(category, code, strings.TrimSpace(name), strings.TrimSpace(text))
}

package savapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"polyclam/backends"
	"polyclam/backends/internal/texts"
)

const (
	codeInfo     = 100 // answer to SET and GET
	codeAlert    = 310
	codeFinished = 319 // the end after alerts
	codeURL      = 430 // a web page about an alert
	codeText     = 499 // information as text
)

// codes is the answer table. Any other code is final and SWErr.
var codes = map[int]struct {
	final    bool
	category backends.Category // empty: none
}{
	200:          {true, backends.OK}, // not an archive
	210:          {true, backends.OK}, // an archive
	220:          {true, backends.Interrupted},
	codeAlert:    {false, backends.Virus},
	codeFinished: {true, backends.Virus},
	401:          {false, ""},
	420:          {false, backends.Virus}, // repairable; the alert follows
	421:          {false, ""},             // an office document
	422:          {false, backends.Suspicious},
	423:          {false, ""},
	codeURL:      {false, ""},
	450:          {false, ""}, // from a plug-in
	codeText:     {false, ""},
}

// The range of error codes, which come with a text.
const errorFirst, errorLast = 350, 359

// webAddress matches the only information that is always harmless.
var webAddress = regexp.MustCompile(`^https?://[^\s?#]+([?#]\S*)?$`)

// suspiciousType matches the types of detections that are not known viruses.
var suspiciousType = regexp.MustCompile(`(?i)^(heur|pua|pup|adware|adspy|riskware|spr|appl|joke|game|dialer|suspicious)`)

// reading is an answer while it is read.
type reading struct {
	*backends.Answer
	texts    texts.Keys
	harmless []string // see harmless_texts
	path     string
	alerted  bool // there was a line with a name
}

// add adds a line of the answer and reports whether it is the final one.
func (r *reading) add(code int, rest string) (final bool, err error) {
	if code >= errorFirst && code <= errorLast {
		r.addText(code, rest, backends.SWErr)
		return true, nil
	}
	row, ok := codes[code]
	switch {
	case !ok:
		r.Add(backends.SWErr, code, fmt.Sprintf("%d %s", code, rest))
		return true, nil
	case row.category == backends.Virus && !row.final:
		r.alerted = true
		return false, r.addAlert(code, rest)
	case code == codeFinished && r.alerted:
		return true, nil // only repeats the alerts
	case row.category == "" && r.isHarmless(code, rest):
	case row.category == "":
		r.addText(code, rest, backends.SWErr)
	case row.category == backends.OK:
		r.Add(backends.OK, code, "")
	default:
		r.Add(row.category, code, rest)
	}
	return row.final, nil
}

// addText adds a free text. No text is documented, so only those that the site lists
// change the category.
func (r *reading) addText(code int, text string, otherwise backends.Category) {
	category := r.texts.Category(text)
	if category != "" {
		r.Add(category, code, fmt.Sprintf("%d %s", code, text))
		return
	}
	hint := ""
	if code > errorLast {
		hint = " (not documented; if it is harmless, add it to harmless_texts)"
	}
	r.Add(otherwise, code, fmt.Sprintf("%d %.300s%s", code, text, hint))
}

// isHarmless reports whether information is irrelevant to the verdict.
func (r *reading) isHarmless(code int, text string) bool {
	return code == codeURL && webAddress.MatchString(text) || slices.Contains(r.harmless, text)
}

// addAlert adds "[outer [--> inner] <<< ]NAME ; type ; text". The sender of an object
// chooses the names of its members, which come first.
func (r *reading) addAlert(code int, rest string) error {
	name := rest
	if i := strings.LastIndex(name, " <<< "); i >= 0 {
		outer, _, _ := strings.Cut(name[:i], " --> ")
		if strings.HasPrefix(outer, "/") && outer != r.path {
			return fmt.Errorf("unexpected alert %.200q, which is not about %q", rest, r.path)
		}
		name = name[i+len(" <<< "):]
	}
	name, text, _ := strings.Cut(name, ";")
	kind, _, _ := strings.Cut(text, ";")
	category := backends.Virus
	if suspiciousType.MatchString(strings.TrimSpace(kind)) {
		category = backends.Suspicious
	}
	r.Found(category, code, strings.TrimSpace(name), strings.TrimSpace(text))
	return nil
}

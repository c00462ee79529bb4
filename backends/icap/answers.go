package icap

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
)

// What an administrator can do about an answer.
const (
	hintService = "is the key service right?"
	hintMethod  = "is the key method right?"
	hintAccess  = "the server does not let us: see its access list, and the key headers"
	hintLicence = "the scanner has no licence"
)

// statuses says what a status of ICAP amounts to where no header field says more.
// One that is not here is a failure. 200 and 206 have an answer of HTTP in them.
var statuses = map[int]struct {
	category backends.Category
	hint     string
}{
	204: {backends.OK, ""},
	400: {backends.SWErr, ""}, // Trend: Bad request
	401: {backends.CannotExecute, hintAccess},
	403: {backends.SWErr, hintAccess},
	404: {backends.SWErr, hintService}, // c-icap 0.5.10: Service not found
	405: {backends.SWErr, hintMethod},  // ESET: Forbidden
	407: {backends.CannotExecute, hintAccess},
	408: {backends.Interrupted, ""},
	413: {backends.Partial, ""}, // as in HTTP; no retry makes the content smaller
	418: {backends.SWErr, ""},   // McAfee: Bad composition
	500: {backends.SWErr, ""},   // c-icap 0.5.10 when its clamd is dead
	501: {backends.SWErr, hintMethod},
	502: {backends.SWErr, ""},
	503: {backends.CannotExecute, ""}, // its limit of connections
	505: {backends.SWErr, ""},
	539: {backends.SWErr, hintLicence}, // Symantec: Aborted - No AV scanning license
}

// statusOf finds the row of a status.
func statusOf(status int) (backends.Category, string) {
	if row, ok := statuses[status]; ok {
		return row.category, row.hint
	}
	return backends.SWErr, ""
}

// httpStatus says what the status of the HTTP response in an answer amounts to
// where no header field says more. The empty category is a 200 or no status at all:
// the body is compared with the content.
func (b *Backend) httpStatus(status int) (c backends.Category, name string) {
	switch {
	case status == 0, status == http.StatusOK:
		return "", ""
	case status >= 500: // Trend: scan error
		return backends.SWErr, ""
	case status >= 400: // a page instead of the content
		return backends.Virus, blockedName
	case status >= 300 && b.config.RedirectIsThreat: // squidclamav: 307 to a page
		return backends.Virus, blockedName
	}
	return backends.SWErr, ""
}

// Names for what a server does not name.
const (
	blockedName  = "blocked-by-icap"
	modifiedName = "modified-by-icap"
)

// verdictFields are the header fields that say what was found, in the ICAP part of
// an answer and in the HTTP part, and how each is read.
var verdictFields = map[string]func(v *verdict, value string){
	"x-infection-found":        infection,                         // c-icap, Symantec, Trend, ESET, Clearswift, squidclamav
	"x-violations-found":       violations,                        // c-icap, Symantec
	"x-virus-id":               signature,                         // Kaspersky, McAfee, Sophos SAVDI, ESET, Clearswift
	"x-virus-name":             signature,                         //
	"x-fsecure-infection-name": signature,                         // F-Secure
	"x-fsecure-scan-result":    fsecure,                           // F-Secure
	"x-mwg-block-reason":       blocked,                           // McAfee, Skyhigh
	"x-block-reason":           blocked,                           // McAfee, Skyhigh
	"x-blocked":                blocked,                           // Sophos SAVDI
	"x-blocked-reason":         blocked,                           // OPSWAT
	"x-response-desc":          described,                         // OPSWAT
	"x-response-info":          responseInfo,                      // Kaspersky, ESET: blocked, passed
	"x-block-result":           func(v *verdict, value string) {}, // McAfee: a number beside X-Block-Reason
}

// reasons says what the text of a block reason means; the first match wins.
var reasons = []struct {
	re       *regexp.Regexp
	category backends.Category // OK: says nothing
}{
	{regexp.MustCompile(`(?i)^(?:no|not|clean)\b`), backends.OK},
	{regexp.MustCompile(`(?i)\b(?:malware|virus(?:es)?|infection|threat)s? (?:was |were )?(?:found|detected)\b|\binfected\b`), backends.Virus},
	{regexp.MustCompile(`(?i)encrypt|password`), backends.Encrypted},
	{regexp.MustCompile(`(?i)\bnot supported\b|\bcorrupt`), backends.Partial},      // McAfee: Archive not supported
	{regexp.MustCompile(`(?i)\bmedia type\b|\bblock list\b`), backends.Suspicious}, // McAfee: Media Type (Block List)
	{regexp.MustCompile(`(?i)\b(?:error|fail(?:ed|ure)|timed? ?out|licen[cs]e)\b`), backends.SWErr},
}

// containers says what the text of a Type=2, "container violation", means; the
// first match wins, and without one it is a failure.
var containers = []struct {
	re       *regexp.Regexp
	category backends.Category
}{
	{regexp.MustCompile(`(?i)encrypt|password`), backends.Encrypted},
	{regexp.MustCompile(`(?i)size|depth|count|level|container|malformed|not supported|timeout`), backends.Partial},
}

// infection reads "Type=0; Resolution=2; Threat=Eicar;", the last semicolon, blanks
// and case as they come. Type is 0 for an infection, 1 for a violation of a policy,
// 2 for one of the limits of containers; what was done about it does not matter.
func infection(v *verdict, value string) {
	kind, named := "", false
	for p := range strings.SplitSeq(value, ";") {
		key, text, _ := strings.Cut(p, "=")
		text = trim(text)
		switch strings.ToLower(strings.Trim(key, ", \t\n")) {
		case "type":
			kind = text
		case "threat":
			v.say(byType(kind, text), text, "X-Infection-Found: "+value)
			named = true
		}
	}
	switch {
	case named:
	case kind != "":
		v.say(byType(kind, ""), "", "X-Infection-Found: "+value)
	case trim(value) == "":
		v.say(backends.SWErr, "", "X-Infection-Found is empty")
	default:
		signature(v, value)
	}
}

// byType is the category of a name that came with a type.
func byType(kind, name string) backends.Category {
	c := backends.NameCategory(name)
	if c != backends.Virus || strings.HasPrefix(strings.ToLower(name), "eicar") {
		return c
	}
	switch kind {
	case "1":
		return backends.Suspicious
	case "2":
		for _, row := range containers {
			if row.re.MatchString(name) {
				return row.category
			}
		}
		return backends.SWErr
	}
	return backends.Virus
}

// violations reads a number and, for each violation, four folded lines: file,
// threat, problem, resolution.
func violations(v *verdict, value string) {
	lines := strings.Split(value, "\n")
	n, err := strconv.Atoi(trim(lines[0]))
	if err != nil {
		v.say(backends.SWErr, "", "X-Violations-Found: "+value)
		return
	}
	named := false
	for i := 2; i < len(lines); i += 4 {
		if name := trim(lines[i]); name != "" && name != "-" {
			v.say(backends.NameCategory(name), name, "X-Violations-Found: "+name)
			named = true
		}
	}
	if n != 0 && !named {
		v.say(backends.Virus, "", "X-Violations-Found: "+value)
	}
}

// signature reads the name of a signature. Kaspersky sends "no threats" for none.
func signature(v *verdict, value string) {
	name := trim(value)
	switch {
	case strings.EqualFold(name, "no threats"):
		v.clean = true
	case name != "":
		v.say(backends.NameCategory(name), name, name)
	}
}

func fsecure(v *verdict, value string) {
	switch strings.ToLower(trim(value)) {
	case "clean":
		v.clean = true
	case "infected":
		v.say(backends.Virus, "", "X-FSecure-Scan-Result: "+value)
	case "suspicious":
		v.say(backends.Suspicious, "", "X-FSecure-Scan-Result: "+value)
	default:
		v.say(backends.SWErr, "", "X-FSecure-Scan-Result: "+value)
	}
}

// blocked reads why something was blocked. A text that is not known is that of a
// virus: something was blocked.
func blocked(v *verdict, value string) {
	text := trim(value)
	switch strings.ToLower(text) {
	case "", "no", "false", "0":
		return
	case "yes", "true", "1":
		v.say(backends.Virus, "", "")
		return
	}
	if c, ok := reason(text); ok {
		v.say(c, "", text)
		return
	}
	v.say(backends.NameCategory(text), "", text)
}

// described reads a text that may also come with what was not blocked.
func described(v *verdict, value string) {
	text := trim(value)
	if c, ok := reason(text); ok {
		v.say(c, "", text)
	} else if c := backends.NameCategory(text); c != backends.Virus {
		v.say(c, "", text)
	}
}

func reason(text string) (backends.Category, bool) {
	for _, row := range reasons {
		if row.re.MatchString(text) {
			return row.category, true
		}
	}
	return "", false
}

// blockedInfo is said where nothing else is.
const blockedInfo = "X-Response-Info: Blocked"

// responseInfo supports what else is said: nothing is clean that was blocked.
func responseInfo(v *verdict, value string) {
	if strings.EqualFold(trim(value), "blocked") {
		v.blocked = true
	}
}

// trim takes the blanks and the quotes off a value.
func trim(s string) string { return strings.Trim(s, " \t\n\"") }

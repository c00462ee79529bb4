package icap

import (
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
)

// Names for findings without one.
const (
	blockedName  = "blocked-by-icap"
	modifiedName = "modified-by-icap"
)

// verdictFields maps the header fields with findings, in the ICAP or HTTP part of an
// answer, to their parsers.
var verdictFields = map[string]func(v *verdict, value string){
	"x-infection-found":        infection,    // c-icap, Symantec, Trend, ESET, Clearswift, squidclamav, OPSWAT
	"x-violations-found":       violations,   // c-icap, Symantec, OPSWAT
	"x-virus-id":               signature,    // Kaspersky, McAfee, Sophos SAVDI, ESET, Clearswift, OPSWAT
	"x-virus-name":             signature,    //
	"x-fsecure-infection-name": signature,    // F-Secure
	"x-fsecure-scan-result":    fsecure,      // F-Secure
	"x-mwg-block-reason":       blocked,      // McAfee, Skyhigh
	"x-block-reason":           blocked,      // McAfee, Skyhigh
	"x-blocked":                blocked,      // Sophos SAVDI
	"x-blocked-reason":         blocked,      // OPSWAT
	"x-response-desc":          described,    // OPSWAT
	"x-response-info":          responseInfo, // Kaspersky, ESET, OPSWAT: blocked, passed
	"x-error-code":             errorCode,    // Symantec
}

// reasons maps the documented texts of a block reason or description, in lower case. Only
// a whole text counts: one that contains a word such as "encrypt" may be a malware name.
// A block with an unknown reason is a virus.
var reasons = map[string]backends.Category{
	"malware found":                 backends.Virus,      // McAfee
	"virus found during virus scan": backends.Virus,      // Sophos SAVDI
	"infected":                      backends.Virus,      // OPSWAT's scan results, here and below
	"suspicious":                    backends.Suspicious, //
	"encrypted":                     backends.Encrypted,  //
	"encrypted archive":             backends.Encrypted,  //
	"password protected document":   backends.Encrypted,  //
	"exceeded archive depth":        backends.Partial,    //
	"exceeded archive size":         backends.Partial,    //
	"exceeded archive file number":  backends.Partial,    //
	"failed to scan":                backends.SWErr,      //
	"not scanned":                   backends.SWErr,      //
	"aborted":                       backends.Interrupted,
	"archive not supported":         backends.Partial,    // McAfee
	"media type (block list)":       backends.Suspicious, // McAfee
}

// containers maps the texts of Type=2, "container violation", in lower case. Any other
// text of this type is suspicious, because something was blocked.
var containers = map[string]backends.Category{
	"encrypted container violation":               backends.Encrypted, // Symantec, here and below
	"container size violation":                    backends.Partial,
	"container size violation - scan incomplete.": backends.Partial,
	"container depth violation":                   backends.Partial,
	"container count violation":                   backends.Partial,
	"malformed container":                         backends.Partial,
	"malformed container violation":               backends.Partial,
}

// infection parses "Type=0; Resolution=2; Threat=Eicar;". The last semicolon may be
// missing; spaces and case do not matter. Type is 0 for an infection, 1 for a policy
// violation, 2 for a container violation. The resolution is ignored.
func infection(v *verdict, value string) {
	kind, named := "", false
	for p := range strings.SplitSeq(value, ";") {
		key, text, _ := strings.Cut(p, "=")
		text = trim(text)
		switch strings.ToLower(strings.Trim(key, ", \t\n")) {
		case "type":
			kind = text
		case "threat":
			v.infected(kind, text, value)
			named = true
		}
	}
	switch {
	case named:
	case kind != "":
		v.infected(kind, "", value)
	case trim(value) == "":
		v.fail(backends.SWErr, "X-Infection-Found is empty")
	default:
		signature(v, value)
	}
}

// infected adds a name with a type.
func (v *verdict) infected(kind, name, value string) {
	if name == "" {
		name = blockedName
	}
	v.found(byType(kind, name), name, "X-Infection-Found: "+value)
}

// byType returns the category of a name with a type.
func byType(kind, name string) backends.Category {
	c := backends.NameCategory(name)
	if c != backends.Virus || strings.HasPrefix(strings.ToLower(name), "eicar") {
		return c
	}
	switch kind {
	case "1":
		return backends.Suspicious
	case "2":
		if c, ok := containers[strings.ToLower(name)]; ok {
			return c
		}
		return backends.Suspicious
	}
	return backends.Virus
}

// violations parses a number and, for each violation, four folded lines: file, threat,
// problem, resolution.
func violations(v *verdict, value string) {
	lines := strings.Split(value, "\n")
	n, err := strconv.Atoi(trim(lines[0]))
	if err != nil {
		v.fail(backends.SWErr, "X-Violations-Found: "+value)
		return
	}
	named := false
	for i := 2; i < len(lines); i += 4 {
		if name := trim(lines[i]); name != "" && name != "-" {
			v.found(backends.Virus, name, "X-Violations-Found: "+name)
			named = true
		}
	}
	if n != 0 && !named {
		v.addReason(backends.Virus, blockedName)
	}
}

// signature parses a signature name. Kaspersky sends "no threats" for none.
func signature(v *verdict, value string) {
	name := trim(value)
	switch {
	case strings.EqualFold(name, "no threats"):
		v.clean = true
	case name != "":
		v.found(backends.Virus, name, name)
	}
}

func fsecure(v *verdict, value string) {
	switch text := strings.ToLower(trim(value)); text {
	case "clean":
		v.clean = true
	case "infected":
		v.addReason(backends.Virus, blockedName)
	case "suspicious":
		v.addReason(backends.Suspicious, blockedName)
	default:
		v.fail(backends.SWErr, "X-FSecure-Scan-Result: "+value)
	}
}

// blocked parses the reason of a block. An unknown reason means a virus.
func blocked(v *verdict, value string) {
	text := trim(value)
	switch strings.ToLower(text) {
	case "", "no", "false", "0":
		return
	case "yes", "true", "1":
		v.addReason(backends.Virus, blockedName)
		return
	}
	if !v.documented(text) {
		v.addReason(backends.NameCategory(text), text)
	}
}

// described parses a description. An unknown one has no effect, except that an error text
// rules out clean.
func described(v *verdict, value string) {
	if text := trim(value); !v.documented(text) && !isErrorText(v.described) {
		v.described = text
	}
}

// documented adds a text with a documented meaning, and returns false for any other text.
func (v *verdict) documented(text string) bool {
	c, ok := reasons[strings.ToLower(text)]
	switch {
	case !ok:
		return false
	case c.IsFailure():
		v.fail(c, text)
	default:
		v.addReason(c, text)
	}
	return true
}

// blockedInfo is the detail of a block without any other reason.
const blockedInfo = "X-Response-Info: Blocked"

// responseInfo parses the server's action, as documented by OPSWAT and Kaspersky. An
// unknown word rules out clean.
func responseInfo(v *verdict, value string) {
	switch text := trim(value); strings.ToLower(text) {
	case "blocked":
		v.blocked = true
	case "", "passed", "allowed": // Kaspersky, OPSWAT
	case "error", "failed":
		v.fail(backends.SWErr, "X-Response-Info: "+text)
	default:
		v.info = text
	}
}

// errorWords are words in the descriptions of objects that were not scanned. They only
// turn a clean answer into a failure. A list of harmless descriptions is impossible,
// because Trend's Deep Discovery Analyzer describes every object.
var (
	errorWords = regexp.MustCompile(`(?i)\b(?:errors?|fail(?:ed|s|ure)?|abort(?:ed|s)?|timed?[- ]?out|not (?:been )?(?:fully |completely )?scanned|unscann(?:ed|able)|skipped|bypassed|unable|cannot|could not|incomplete|unavailable|expired)\b`)
	noError    = regexp.MustCompile(`(?i)\b(?:no|0|without(?: any)?) (?:errors?|failures?)\b`)
)

func isErrorText(text string) bool {
	return errorWords.MatchString(noError.ReplaceAllString(text, ""))
}

// errorCode parses a reason for a missing verdict. An unknown code is a failure.
func errorCode(v *verdict, value string) {
	code := strings.ToLower(trim(value))
	if code == "" || code == "none" {
		return
	}
	c, ok := v.errorCodes[code]
	if !ok {
		c = backends.SWErr
	}
	v.addCode(c, code, "X-Error-Code: "+code)
}

// trim removes white space and quotes around a value.
func trim(s string) string { return strings.Trim(s, " \t\n\"") }

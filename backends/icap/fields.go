package icap

import (
	"regexp"
	"strconv"
	"strings"

	"polyclam/backends"
)

// Names for what a server does not name.
const (
	blockedName  = "blocked-by-icap"
	modifiedName = "modified-by-icap"
)

// verdictFields are the header fields that say what was found, in the ICAP part of
// an answer and in the HTTP part, and how each is read.
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

// reasons says what the text of a block reason or description means, in lower case.
// Only a documented text is here, and only the whole of it counts: what contains a
// word like "encrypt" may be the name of malware. A block for another reason is a
// virus.
var reasons = map[string]backends.Category{
	"malware found":                 backends.Virus,      // McAfee
	"virus found during virus scan": backends.Virus,      // Sophos SAVDI
	"infected":                      backends.Virus,      // OPSWAT, here and below by its scan results
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

// containers says what the text of a Type=2, "container violation", means, in lower
// case. Any other text of this type is suspicious: something was blocked.
var containers = map[string]backends.Category{
	"encrypted container violation":               backends.Encrypted, // Symantec, here and below
	"container size violation":                    backends.Partial,
	"container size violation - scan incomplete.": backends.Partial,
	"container depth violation":                   backends.Partial,
	"container count violation":                   backends.Partial,
	"malformed container":                         backends.Partial,
	"malformed container violation":               backends.Partial,
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

// infected takes a name that came with a type.
func (v *verdict) infected(kind, name, value string) {
	if name == "" {
		name = blockedName
	}
	v.found(byType(kind, name), name, "X-Infection-Found: "+value)
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
		if c, ok := containers[strings.ToLower(name)]; ok {
			return c
		}
		return backends.Suspicious
	}
	return backends.Virus
}

// violations reads a number and, for each violation, four folded lines: file,
// threat, problem, resolution.
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
		v.because(backends.Virus, blockedName)
	}
}

// signature reads the name of a signature. Kaspersky sends "no threats" for none.
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
		v.because(backends.Virus, blockedName)
	case "suspicious":
		v.because(backends.Suspicious, blockedName)
	default:
		v.fail(backends.SWErr, "X-FSecure-Scan-Result: "+value)
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
		v.because(backends.Virus, blockedName)
		return
	}
	if !v.documented(text) {
		v.because(backends.NameCategory(text), text)
	}
}

// described reads a text that says why something was blocked. One that is not known
// adds nothing to what else is said, except that an error text is never clean.
func described(v *verdict, value string) {
	if text := trim(value); !v.documented(text) && !isErrorText(v.described) {
		v.described = text
	}
}

// documented takes a text with a documented meaning, and reports whether it is one.
func (v *verdict) documented(text string) bool {
	c, ok := reasons[strings.ToLower(text)]
	switch {
	case !ok:
		return false
	case c.IsFailure():
		v.fail(c, text)
	default:
		v.because(c, text)
	}
	return true
}

// blockedInfo is said where nothing else is.
const blockedInfo = "X-Response-Info: Blocked"

// responseInfo reads the action that the server took. OPSWAT and Kaspersky document it as
// that, so a word that is not known is never clean.
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

// errorWords are those of a description that says why an object was not scanned. They
// only ever turn a clean answer into a failure. The texts of clean answers are not
// documented: Trend's Deep Discovery Analyzer describes every object.
var (
	errorWords = regexp.MustCompile(`(?i)\b(?:errors?|fail(?:ed|s|ure)?|abort(?:ed|s)?|timed?[- ]?out|not (?:been )?(?:fully |completely )?scanned|unscann(?:ed|able)|skipped|bypassed|unable|cannot|could not|incomplete|unavailable|expired)\b`)
	noError    = regexp.MustCompile(`(?i)\b(?:no|0|without(?: any)?) (?:errors?|failures?)\b`)
)

func isErrorText(text string) bool {
	return errorWords.MatchString(noError.ReplaceAllString(text, ""))
}

// errorCode reads why there is no verdict. A code that is not in the table is a
// failure.
func errorCode(v *verdict, value string) {
	code := strings.ToLower(trim(value))
	if code == "" || code == "none" {
		return
	}
	c, ok := v.errorCodes[code]
	if !ok {
		c = backends.SWErr
	}
	v.byCode(c, code, "X-Error-Code: "+code)
}

// trim takes the blanks and the quotes off a value.
func trim(s string) string { return strings.Trim(s, " \t\n\"") }

package status

import (
	"regexp"
	"strings"
	"unicode"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// polyclam's names for findings without one.
const (
	nameVirus      = "Virus.Unnamed"
	nameSuspicious = "Heuristics.Suspicious"
	namePartial    = "Heuristics.Limits.Exceeded.Incomplete"
	nameScanFailed = "Heuristics.Scan.Failed"
	// rspamd turns this one into its symbol _FAIL, and does not retry.
	nameLimitsFailed = "Heuristics.Limits.Exceeded.ScanFailed"
	nameStreamLimit  = "Heuristics.Limits.Exceeded.StreamMaxLength"
)

// maxRaw is how many bytes of a raw name, text or detail are examined. It is well over
// every line budget.
const maxRaw = 2048

// name returns the name for category c as one token, never empty. raw is the engine's name,
// or empty. It is kept except for characters that would break a client. Names of categories
// that clients recognise by a namespace are moved into it.
func (p Profile) name(c backends.Category, raw, detail string) string {
	switch c {
	case backends.Virus:
		return orElse(token(raw), nameVirus)
	case backends.Suspicious:
		return orElse(token(raw), nameSuspicious)
	case backends.Encrypted:
		return p.EncryptedPrefix + encryptedKind(raw, detail)
	case backends.Partial:
		if limitsName.MatchString(raw) {
			return token(raw)
		}
		return namePartial
	}
	return nameScanFailed
}

// Name returns the name of a finding as replies have it, whatever the action is. It is empty
// if nothing was found.
func (p Profile) Name(v policy.Verdict) string {
	if v.Category == backends.OK || v.Category.IsFailure() {
		return ""
	}
	return p.complete().verdictName(v)
}

// verdictName is the one name for a whole verdict.
func (p Profile) verdictName(v policy.Verdict) string {
	raw := ""
	if len(v.Names) > 0 {
		raw = v.Names[0]
	}
	detail := v.Detail
	if v.Container != "" { // comes last, so it decides only if nothing else does
		detail = head(detail, maxRaw-len(v.Container)-1) + " " + v.Container
	}
	in := map[backends.Category]*regexp.Regexp{backends.Encrypted: encryptedName, backends.Partial: limitsName}[v.Category]
	if in == nil {
		return p.name(v.Category, raw, detail)
	}
	for _, n := range v.Names {
		if in.MatchString(n) {
			return p.name(v.Category, n, detail)
		}
	}
	// Any word in the engine's names may be the kind of container.
	words := strings.Join(v.Names[:min(len(v.Names), 16)], " ")
	return p.name(v.Category, "", head(words, maxRaw/2)+" "+detail)
}

// The namespaces of ClamAV that clients know.
var (
	encryptedName = regexp.MustCompile(`^(?:Heuristics\.)?Encrypted\.(.+)$`)
	limitsName    = regexp.MustCompile(`^Heuristics\.Limits\.Exceeded(?:\.|$)`)
)

// encryptedKinds maps words of engines and file names to libclamav's name for what is
// encrypted.
var encryptedKinds = map[string]string{
	"zip": "Zip", "zipx": "Zip", "jar": "Zip",
	"rar": "RAR",
	"7z":  "7Zip", "7zip": "7Zip", "7zaes": "7Zip",
	"pdf": "PDF",
	"egg": "EGG",
	// Office documents with a password are OLE2 files, the newer ones too.
	"ole": "OLE2", "ole2": "OLE2",
	"doc": "OLE2", "docx": "OLE2", "docm": "OLE2",
	"xls": "OLE2", "xlsx": "OLE2", "xlsm": "OLE2",
	"ppt": "OLE2", "pptx": "OLE2", "pptm": "OLE2",
}

// encryptedKind is the last part of the name of an encrypted object: the engine's own, or
// derived from its words, or Archive. The first known word counts, because engines name the
// outer container first.
func encryptedKind(raw, detail string) string {
	if m := encryptedName.FindStringSubmatch(raw); m != nil {
		if kind := token(m[1]); kind != "" {
			return kind
		}
	}
	for _, s := range []string{raw, detail} {
		isSeparator := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
		for _, word := range strings.FieldsFunc(head(s, maxRaw), isSeparator) {
			if kind, ok := encryptedKinds[strings.ToLower(word)]; ok {
				return kind
			}
		}
	}
	return "Archive"
}

// token turns a raw name into one token that every known client accepts as a name. It is
// empty if raw is.
//
// A colon becomes a dot, because many clients end the name at a colon (Kaspersky has
// "HEUR:Trojan"); any other character outside the alphabet becomes an underscore. FOUND
// and a leading OK change case: c-icap and node's clamscan cut a line at the first FOUND,
// and Haraka, File::Scan::ClamAV and c-icap take for clean what starts with OK.
func token(raw string) string {
	raw = strings.Trim(head(raw, maxRaw), " \t\r\n\v\f\x00")
	b := []byte(raw)
	for i, c := range b {
		switch {
		case c == ':':
			b[i] = '.'
		case !inToken(c):
			b[i] = '_'
		}
	}
	s := strings.ReplaceAll(string(b), "FOUND", "Found")
	if strings.HasPrefix(s, "OK") {
		s = "Ok" + s[2:]
	}
	return s
}

func inToken(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("._-/+{}#@!=~", c) >= 0
}

// magic matches the words in an error that make some clients not report an error: Haraka
// accepts the mail at "size limit exceeded", MIMEDefang asks another scanner, MailScanner
// ignores the error, clamonacc weakens it.
var magic = regexp.MustCompile(`(?i)size limit|module failure|not supported data format|access denied|no such file or directory|can't open file|can't access file|permission denied|read timed out|unknown command|command unavailable`)

// errorText turns text into what may precede ERROR: at least one word, no colon, nothing
// that reads like another reply, and at most limit bytes.
func errorText(text string, limit int) string {
	b := []byte(head(text, maxRaw))
	for i, c := range b {
		switch {
		case c == ':':
			b[i] = '.'
		case c <= ' ':
			b[i] = ' '
		case !inToken(c) && c != '\'' && c != ',':
			b[i] = '_'
		}
	}
	s := strings.Join(strings.Fields(string(b)), " ")
	s = magic.ReplaceAllStringFunc(s, func(m string) string { return strings.ReplaceAll(m, " ", "-") })
	s = wordBreaker.Replace(s)
	s = orElse(s, "Scan failed")
	return strings.TrimRight(head(s, limit), " ")
}

// wordBreaker changes the last words of replies, which some clients look for anywhere in a
// line.
var wordBreaker = strings.NewReplacer("FOUND", "Found", "ERROR", "Error", "OK", "Ok")

// head returns the first n bytes of s.
func head(s string, n int) string { return s[:min(len(s), max(n, 0))] }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

package status

import (
	"regexp"
	"strings"
	"unicode"

	"polyclam/backends"
	"polyclam/proxy/policy"
)

// Names that are ours, for what no engine gave a name to.
const (
	nameVirus      = "Virus.Unnamed"
	nameSuspicious = "Heuristics.Suspicious"
	namePartial    = "Heuristics.Limits.Exceeded.Incomplete"
	nameScanFailed = "Heuristics.Scan.Failed"
	// rspamd makes its symbol _FAIL of this one, without trying again.
	nameLimitsFailed = "Heuristics.Limits.Exceeded.ScanFailed"
	nameStreamLimit  = "Heuristics.Limits.Exceeded.StreamMaxLength"
)

// maxRaw is how much of a raw name, text or detail is looked at. It is well over
// every line budget.
const maxRaw = 2048

// name is the token that tells of category c, for the raw name an engine gave,
// which may be empty. It is never empty. The engine's own name is kept but for
// what would break a client; categories that clients know by a namespace are
// brought into it.
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

// verdictName is the one name for a whole verdict.
func (p Profile) verdictName(v policy.Verdict) string {
	raw := ""
	if len(v.Names) > 0 {
		raw = v.Names[0]
	}
	detail := v.Detail
	if v.Container != "" { // the last resort
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
	// Of an engine's own words any may say what kind of container it was.
	words := strings.Join(v.Names[:min(len(v.Names), 16)], " ")
	return p.name(v.Category, "", head(words, maxRaw/2)+" "+detail)
}

// The namespaces of ClamAV that clients know.
var (
	encryptedName = regexp.MustCompile(`^(?:Heuristics\.)?Encrypted\.(.+)$`)
	limitsName    = regexp.MustCompile(`^Heuristics\.Limits\.Exceeded(?:\.|$)`)
)

// encryptedKinds are the words by which engines and file names tell what is
// encrypted, and the kind as libclamav names it.
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

// encryptedKind is the last part of the name of encrypted content: the engine's
// own if its name has one, else derived from its words, else Archive. The first
// word that says something counts: engines name the outer container first.
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

// token makes one token of a raw name that every known client takes for a name.
// It is empty if there is nothing to make one of.
//
// A colon becomes a dot (Kaspersky's "HEUR:Trojan" ends the name for many
// clients), all else outside of the alphabet an underscore. c-icap and node's
// clamscan cut a line at the first FOUND, Haraka, File::Scan::ClamAV and c-icap
// take for clean what begins with OK, so that both are broken.
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

// magic are the words in an error that make some client do something else than
// reporting an error: accept the mail (Haraka at "size limit exceeded"), ask
// another scanner (MIMEDefang), ignore it (MailScanner) or soften it
// (clamonacc).
var magic = regexp.MustCompile(`(?i)size limit|module failure|not supported data format|access denied|no such file or directory|can't open file|can't access file|permission denied|read timed out|unknown command|command unavailable`)

// errorText makes of text what may stand before ERROR: at least one word, no
// colon, nothing that reads as another reply. It is at most max bytes.
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
	s = breakWords(s)
	s = strings.TrimRight(head(s, limit), " ")
	return orElse(s, head("Scan failed", limit))
}

// breakWords breaks the last words of replies, which some clients look for
// anywhere in a line.
var wordBreaker = strings.NewReplacer("FOUND", "Found", "ERROR", "Error", "OK", "Ok")

func breakWords(s string) string { return wordBreaker.Replace(s) }

// head is the first n bytes of s.
func head(s string, n int) string { return s[:min(len(s), max(n, 0))] }

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

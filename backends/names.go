package backends

import "regexp"

// nameTable says what the name of a signature means. Engines often report
// "encrypted" or "limits" as if it were a virus; this one table serves all
// backends. The first match wins; a name that is not in it is a Virus. A site's
// own [[rule]] tables come after it, in the policy.
var nameTable = []struct {
	re       *regexp.Regexp
	category Category
}{
	{regexp.MustCompile(`(?i)^eicar`), Virus},
	// ClamAV with AlertEncrypted; without the prefix before 0.101.
	{regexp.MustCompile(`^Heuristics\.Encrypted\.`), Encrypted},
	{regexp.MustCompile(`^Encrypted\.(?:Zip|RAR|7Zip|PDF)$`), Encrypted},
	// ClamAV with AlertExceedsMax.
	{regexp.MustCompile(`^Heuristics\.Limits\.Exceeded(?:\.|$)`), Partial},
	// ClamAV's other heuristics: nothing known, a shape that is disliked.
	{regexp.MustCompile(`^Heuristics\.(?:Broken|OLE2\.ContainsMacros|Phishing|Structured|PDF\.ObfuscatedNameObject|Zip\.OverlappingFiles)`), Suspicious},
	// Symantec, Clearswift and OPSWAT over ICAP.
	{regexp.MustCompile(`(?i)^encrypted (?:container|archive)(?: violation)?$`), Encrypted},
	{regexp.MustCompile(`(?i)^container (?:.*) violation$`), Partial},
	// Plain words only: what has the punctuation of a malware name, such as
	// "Trojan.Password-Protected.A" or "HEUR:...", stays a Virus.
	{regexp.MustCompile(`(?i)^[^.:/!@_]*\bpassword[- ]?protected\b[^.:/!@_]*$`), Encrypted},
	{regexp.MustCompile(`(?i)^[^.:/!@_]*\bmalformed container\b[^.:/!@_]*$`), Partial},
}

// NameCategory says what the name of a signature means: Encrypted for
// "Heuristics.Encrypted.Zip", Partial for "Heuristics.Limits.Exceeded.MaxFiles",
// and Virus for every name that is not in the table.
func NameCategory(name string) Category {
	for _, row := range nameTable {
		if row.re.MatchString(name) {
			return row.category
		}
	}
	return Virus
}

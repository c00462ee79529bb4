package backends

import "regexp"

// nameTable maps signature names to categories, for all backends. Engines often report
// encryption or an exceeded limit as if it were a virus. The first match wins; a name
// without a match is a Virus. The policy applies a site's [[rule]] tables later.
//
// Every row except the first weakens a finding, so it matches only names that an engine
// documents. A name that merely contains such a word is a Virus: Ransom.FileEncryptor,
// Trojan PasswordStealer.
var nameTable = []struct {
	re       *regexp.Regexp
	category Category
}{
	{regexp.MustCompile(`(?i)^eicar`), Virus},
	// ClamAV with AlertEncrypted; without the prefix before 0.101.
	{regexp.MustCompile(`^Heuristics\.Encrypted\.[A-Za-z0-9]+$`), Encrypted},
	{regexp.MustCompile(`^Encrypted\.(?:Zip|RAR|7Zip|PDF)$`), Encrypted},
	// ClamAV with AlertExceedsMax.
	{regexp.MustCompile(`^Heuristics\.Limits\.Exceeded(?:\.[A-Za-z0-9]+)?$`), Partial},
	// ClamAV's other heuristics: no known malware, but a suspicious structure.
	{regexp.MustCompile(`^Heuristics\.(?:Broken|OLE2\.ContainsMacros|Phishing|Structured|PDF\.ObfuscatedNameObject|Zip\.OverlappingFiles)(?:\.|$)`), Suspicious},
	// Symantec over ICAP.
	{regexp.MustCompile(`(?i)^encrypted container(?: violation)?$`), Encrypted},
	{regexp.MustCompile(`(?i)^container (?:size|depth|count) violation$`), Partial},
	{regexp.MustCompile(`(?i)^container size violation - scan incomplete\.$`), Partial},
	{regexp.MustCompile(`(?i)^malformed container(?: violation)?$`), Partial},
	// Clearswift and OPSWAT over ICAP.
	{regexp.MustCompile(`(?i)^encrypted archive$`), Encrypted},
	{regexp.MustCompile(`(?i)^password[- ]protected(?: document)?$`), Encrypted},
	{regexp.MustCompile(`(?i)^exceeded archive (?:depth|size|file number)$`), Partial},
}

// NameCategory returns the category of a signature name: Encrypted for
// "Heuristics.Encrypted.Zip", Partial for "Heuristics.Limits.Exceeded.MaxFiles", and
// Virus for every name without a special meaning.
func NameCategory(name string) Category {
	for _, row := range nameTable {
		if row.re.MatchString(name) {
			return row.category
		}
	}
	return Virus
}

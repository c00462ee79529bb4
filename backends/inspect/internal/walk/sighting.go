package walk

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// Names of the findings. Where libclamav 1.4 has a name, we use it.
const (
	FindingPrefix = "Heuristics.Encrypted."
	FindingZip    = FindingPrefix + "Zip"
	FindingRAR    = FindingPrefix + "RAR"
	FindingSeven  = FindingPrefix + "7Zip"
	FindingPDF    = FindingPrefix + "PDF"
	FindingOLE    = FindingPrefix + "OLE2"
	FindingEGG    = FindingPrefix + "EGG"
	FindingODF    = FindingPrefix + "ODF"
	FindingPGP    = FindingPrefix + "PGP"
	FindingSMIME  = FindingPrefix + "SMIME"
	FindingMail   = FindingPrefix + "Mail"
	FindingALZ    = FindingPrefix + "ALZ"
	FindingARJ    = FindingPrefix + "ARJ"
	FindingACE    = FindingPrefix + "ACE"
)

// Names of the findings for parts that could not be inspected. All share the prefix of
// libclamav's limit findings, because clients know that prefix and would take any other for
// a virus.
const (
	findingLimit    = "Heuristics.Limits.Exceeded."
	UnscannedMethod = findingLimit + "Method" // unsupported compression or format
	UnscannedCutOff = findingLimit + "CutOff" // truncated
	UnscannedSplit  = findingLimit + "Split"  // other parts are in other files
	UnscannedBroken = findingLimit + "Broken" // damaged
)

// Sighting describes something encrypted.
type Sighting struct {
	Name   string // of the finding
	Detail string // which member and how it is encrypted; member names are quoted and truncated
}

// Maximum lengths in a sighting.
const (
	MaxDetail = 512
	MaxName   = 128 // one member's name
)

// NewSighting reports that a member of a container is encrypted, or with an empty member
// name the container itself.
func NewSighting(finding, container, member, how string) *Sighting {
	if member == "" && container != "zip" {
		return &Sighting{finding, Cut(container+": "+how, MaxDetail)}
	}
	return &Sighting{finding, Cut(fmt.Sprintf("member %q in %s: %s", Cut(member, MaxName), container, how), MaxDetail)}
}

// Within adds the container and member in which s was seen. It returns nil for nil.
func (s *Sighting) Within(container, member string) *Sighting {
	if s == nil {
		return nil
	}
	detail := container + ": " + s.Detail
	if member != "" {
		detail = fmt.Sprintf("member %q in %s: %s", Cut(member, MaxName), container, s.Detail)
	}
	return &Sighting{s.Name, Cut(detail, MaxDetail)}
}

// Cut truncates s to at most n bytes.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// UTF16Name decodes a little-endian UTF-16 name and truncates it to MaxName.
func UTF16Name(b []byte) string {
	units := make([]uint16, 0, MaxName)
	for len(b) >= 2 && len(units) < MaxName {
		units = append(units, binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	return Cut(string(utf16.Decode(units)), MaxName)
}

// ReadName reads a name, truncated to MaxName.
func ReadName(s *Section, at, size int64) string {
	b := make([]byte, max(0, min(size, MaxName, s.Size-at)))
	if ReadFull(s, b, at) != nil {
		return ""
	}
	return string(b)
}

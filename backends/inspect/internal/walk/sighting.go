package walk

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"
)

// The names of the findings. Those that libclamav 1.4 has are its own.
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

// The names of the findings about what could not be looked into. All begin as
// libclamav's about its limits do: clients know that beginning, and would take
// another one for a virus.
const (
	findingLimit    = "Heuristics.Limits.Exceeded."
	UnscannedMethod = findingLimit + "Method" // not known how to unpack it
	UnscannedCutOff = findingLimit + "CutOff" // its end is missing
	UnscannedSplit  = findingLimit + "Split"  // other parts are elsewhere
	UnscannedBroken = findingLimit + "Broken" // it could not be unpacked
)

// Sighting is something encrypted.
type Sighting struct {
	Name   string // of the finding
	Detail string // which member, how encrypted; its names are quoted and cut
}

// Bounds of what a sighting says.
const (
	MaxDetail = 512
	MaxName   = 128 // of one member
)

// NewSighting says that a member of a container is encrypted, or the container
// itself if it has no members: member is empty then.
func NewSighting(finding, container, member, how string) *Sighting {
	if member == "" && container != "zip" {
		return &Sighting{finding, Cut(container+": "+how, MaxDetail)}
	}
	return &Sighting{finding, Cut(fmt.Sprintf("member %q in %s: %s", Cut(member, MaxName), container, how), MaxDetail)}
}

// Within says in which member of which container it was seen. It returns nil
// for nil.
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

// Cut returns the first n bytes of s at most.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// UTF16Name makes a name of little-endian UTF-16, cut.
func UTF16Name(b []byte) string {
	units := make([]uint16, 0, MaxName)
	for len(b) >= 2 && len(units) < MaxName {
		units = append(units, binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	return Cut(string(utf16.Decode(units)), MaxName)
}

// ReadName reads a name, cut.
func ReadName(s *Section, at, size int64) string {
	b := make([]byte, max(0, min(size, MaxName, s.Size-at)))
	if ReadFull(s, b, at) != nil {
		return ""
	}
	return string(b)
}

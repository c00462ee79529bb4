package inspect

import "fmt"

// The names of the findings. Those that libclamav 1.4 has are its own.
const (
	findingPrefix = "Heuristics.Encrypted."
	findingZip    = findingPrefix + "Zip"
	findingRAR    = findingPrefix + "RAR"
	findingSeven  = findingPrefix + "7Zip"
	findingPDF    = findingPrefix + "PDF"
	findingOLE    = findingPrefix + "OLE2"
	findingEGG    = findingPrefix + "EGG"
	findingODF    = findingPrefix + "ODF"
	findingPGP    = findingPrefix + "PGP"
	findingSMIME  = findingPrefix + "SMIME"
	findingMail   = findingPrefix + "Mail"
	findingALZ    = findingPrefix + "ALZ"
	findingARJ    = findingPrefix + "ARJ"
	findingACE    = findingPrefix + "ACE"
)

// The names of the findings about what could not be looked into.
const (
	findingLimit     = "Heuristics.Limits.Exceeded."
	findingUnscanned = "Heuristics.Unscanned."
	unscannedMethod  = findingUnscanned + "Method" // not known how to unpack it
	unscannedCutOff  = findingUnscanned + "CutOff" // its end is missing
	unscannedSplit   = findingUnscanned + "Split"  // other parts are elsewhere
	unscannedBroken  = findingUnscanned + "Broken" // it could not be unpacked
)

// sighting is something encrypted.
type sighting struct {
	name   string // of the finding
	detail string // which member, how encrypted; its names are quoted and cut
}

// Bounds of what a sighting tells.
const (
	maxDetail = 512
	maxName   = 128 // of one member
)

// newSighting says that a member of a container is encrypted, or the container
// itself if it has no members: member is empty then.
func newSighting(finding, container, member, how string) *sighting {
	if member == "" && container != "zip" {
		return &sighting{finding, cut(container+": "+how, maxDetail)}
	}
	return &sighting{finding, cut(fmt.Sprintf("member %q in %s: %s", cut(member, maxName), container, how), maxDetail)}
}

// within says in which member of which container it was seen. It returns nil
// for nil.
func (s *sighting) within(container, member string) *sighting {
	if s == nil {
		return nil
	}
	detail := container + ": " + s.detail
	if member != "" {
		detail = fmt.Sprintf("member %q in %s: %s", cut(member, maxName), container, s.detail)
	}
	return &sighting{s.name, cut(detail, maxDetail)}
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

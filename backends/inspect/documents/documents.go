package documents

import (
	"bytes"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// checks are the members that say how a document is encrypted, by name in lower
// case.
var checks = map[string]func(data []byte) *walk.Sighting{
	"meta-inf/manifest.xml":   Manifest,
	"meta-inf/encryption.xml": publication,
	".iwpv2":                  iwork,
	".iwph":                   iwork,
}

// Has reports whether a member says how a document is encrypted.
func Has(name string) bool { return checks[strings.ToLower(name)] != nil }

// Check looks at a member that Has is true for.
func Check(name string, data []byte) *walk.Sighting {
	if check := checks[strings.ToLower(name)]; check != nil {
		return check(data)
	}
	return nil
}

// iwork is for Pages, Numbers and Keynote from 2013 on: the member checks the
// password, or has its hint.
func iwork([]byte) *walk.Sighting {
	return walk.NewSighting(walk.FindingPrefix+"IWork", "iwork", "", "encrypted with a password")
}

// fonts are the algorithms that only keep fonts from being copied. They hide no
// text, and their key is in the publication.
var fonts = []string{"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}

// publication is for EPUB (OCF 3.3, 3.5.2): rights management such as LCP. The
// text cannot be looked into without a licence, as with any other encryption.
func publication(data []byte) *walk.Sighting {
	for rest := bytes.ReplaceAll(data, []byte{0}, nil); ; {
		i := bytes.Index(rest, []byte("EncryptionMethod"))
		if i < 0 {
			return nil
		}
		rest = rest[i:]
		how := attribute(rest[:min(len(rest), 1024)], "Algorithm", false)
		if how != "" && how != fonts[0] && how != fonts[1] {
			_, how, _ = strings.Cut(how, "#")
			return walk.NewSighting(walk.FindingPrefix+"EPUB", "epub", "", "rights management, "+how)
		}
		rest = rest[1:]
	}
}

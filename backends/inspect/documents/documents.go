package documents

import (
	"bytes"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// checks maps the lower-case names of members that show encryption to their parsers.
var checks = map[string]func(data []byte) *walk.Sighting{
	"meta-inf/manifest.xml":   Manifest,
	"meta-inf/encryption.xml": publication,
	".iwpv2":                  iwork,
	".iwph":                   iwork,
}

// Has reports whether a member with this name can show that a document is encrypted.
func Has(name string) bool { return checks[strings.ToLower(name)] != nil }

// Check inspects a member for which Has is true.
func Check(name string, data []byte) *walk.Sighting {
	if check := checks[strings.ToLower(name)]; check != nil {
		return check(data)
	}
	return nil
}

// iwork is for Pages, Numbers and Keynote since 2013. The member verifies the password or
// holds the hint for it; neither exists in plain documents.
func iwork([]byte) *walk.Sighting {
	return walk.NewSighting(walk.FindingPrefix+"IWork", "iwork", "", "encrypted with a password")
}

// fonts are the algorithms that only obfuscate embedded fonts. They hide no text, and their
// key is in the publication.
var fonts = []string{"http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC"}

// publication is for EPUB (OCF 3.3, 3.5.2): rights management such as LCP. Without a
// licence the text cannot be inspected, as with any other encryption.
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

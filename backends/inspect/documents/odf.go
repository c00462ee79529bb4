// Package documents knows documents that are ZIP archives and whose members are
// encrypted without any of ZIP's flags: OpenDocument, EPUB, iWork. It searches their
// manifests for what matters and uses no XML parser, which would refuse some that office
// programs accept, and need memory for all of them.
package documents

import (
	"bytes"

	"polyclam/backends/inspect/internal/walk"
)

// An OpenDocument is a ZIP archive whose members are encrypted without any of
// ZIP's flags: META-INF/manifest.xml has an encryption-data element for each of
// them (OpenDocument 1.3 part 2, 4.5), or, encrypted as a whole, for the one
// member encrypted-package.
const (
	namespace   = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
	namespaceOO = "http://openoffice.org/2001/manifest" // of OpenOffice.org 1
	MaxManifest = 4 << 20                               // of what Check reads
)

// Manifest finds the first encrypted entry. It is no XML parser: what
// hides from it hides from OpenDocument readers as well, and it needs no memory.
func Manifest(data []byte) *walk.Sighting {
	// XML may be in UTF-16.
	data = bytes.ReplaceAll(data, []byte{0}, nil)
	// Some programs write no namespace at all. One with a reference to a character,
	// or to an entity, may be any.
	if bytes.Contains(data, []byte("xmlns")) && !bytes.Contains(data, []byte("&")) && !bytes.Contains(data, []byte(namespace)) && !bytes.Contains(data, []byte(namespaceOO)) {
		return nil
	}
	for rest, at := data, 0; ; {
		i := bytes.Index(rest, []byte("encryption-data"))
		if i < 0 {
			return nil
		}
		at += i
		if isElement(data, at) {
			how := attribute(data[at:min(len(data), at+2048)], "algorithm-name", false)
			if how == "" {
				how = "encrypted"
			}
			member := attribute(data[max(0, at-2048):at], "full-path", true)
			return walk.NewSighting(walk.FindingODF, "odf", member, how)
		}
		rest = rest[i+1:]
		at++
	}
}

// isElement reports whether an element's name begins at i: after < and perhaps
// a prefix.
func isElement(data []byte, i int) bool {
	open := bytes.LastIndexByte(data[max(0, i-64):i], '<')
	if open < 0 {
		return false
	}
	prefix := data[max(0, i-64)+open+1 : i]
	return !bytes.ContainsAny(prefix, " \t\r\n\"'/!>=&")
}

// attribute returns the value of the first, or last, attribute of that name,
// whatever its prefix.
func attribute(data []byte, name string, last bool) string {
	index := bytes.Index
	if last {
		index = bytes.LastIndex
	}
	i := index(data, []byte(name+"="))
	if i < 0 || i+len(name)+2 > len(data) {
		return ""
	}
	value := data[i+len(name)+1:]
	quote := value[0]
	if quote != '"' && quote != '\'' {
		return ""
	}
	value = value[1:]
	end := bytes.IndexByte(value, quote)
	if end < 0 {
		return ""
	}
	return string(value[:min(end, walk.MaxName)])
}

// Package documents recognises encryption in documents that are ZIP archives but do not
// use ZIP's encryption: OpenDocument (encryption-data in META-INF/manifest.xml), EPUB
// (META-INF/encryption.xml) and iWork (.iwpv2, .iwph). The sources are OpenDocument 1.3
// part 2, EPUB OCF 3.3, and iWork documents made for this package.
//
// It searches the manifests for a few strings. An XML parser would reject manifests that
// office programs accept, and would need memory for whole manifests.
package documents

import (
	"bytes"

	"polyclam/backends/inspect/internal/walk"
)

// In an OpenDocument's META-INF/manifest.xml every encrypted member has an encryption-data
// element (OpenDocument 1.3 part 2, 4.5). A document that is encrypted as a whole has one,
// for the member encrypted-package.
const (
	namespace   = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
	namespaceOO = "http://openoffice.org/2001/manifest" // of OpenOffice.org 1
	MaxManifest = 4 << 20                               // how much of a manifest is inspected
)

// Manifest finds the first encrypted entry. Anything that hides from this search hides from
// OpenDocument readers as well.
func Manifest(data []byte) *walk.Sighting {
	// XML may be in UTF-16.
	data = bytes.ReplaceAll(data, []byte{0}, nil)
	// Some programs write no namespace. A namespace with a character or entity
	// reference could be any.
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

// isElement reports whether an element name begins at i, after "<" and perhaps a prefix.
func isElement(data []byte, i int) bool {
	open := bytes.LastIndexByte(data[max(0, i-64):i], '<')
	if open < 0 {
		return false
	}
	prefix := data[max(0, i-64)+open+1 : i]
	return !bytes.ContainsAny(prefix, " \t\r\n\"'/!>=&")
}

// attribute returns the value of the first (or last) attribute with this name, whatever its
// prefix.
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

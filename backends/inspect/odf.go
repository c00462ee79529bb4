package inspect

import (
	"bytes"
	"context"
	"io"
)

// An OpenDocument is a ZIP archive whose members are encrypted without any of
// ZIP's flags: META-INF/manifest.xml has an encryption-data element for each of
// them (OpenDocument 1.3 part 2, 4.5), or, encrypted as a whole, for the one
// member encrypted-package.
const (
	odfManifest    = "META-INF/manifest.xml"
	odfNamespace   = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
	odfNamespaceOO = "http://openoffice.org/2001/manifest" // of OpenOffice.org 1
	maxManifest    = 4 << 20
)

// manifest looks for an OpenDocument's manifest, and what it says.
func (zipDetector) manifest(ctx context.Context, w *walk, s *section, d zipDirectory) *sighting {
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.stop != nil {
			return nil
		}
		if string(e.name) != odfManifest {
			continue
		}
		m, ok := e.locate(w, s, d.base)
		if !ok {
			return nil
		}
		return readManifest(m.read(ctx, w, s, maxManifest))
	}
}

// read unpacks a member, up to limit bytes.
func (m zipMember) read(ctx context.Context, w *walk, s *section, limit int64) []byte {
	packed := io.NewSectionReader(s, m.at, m.size)
	var r io.Reader = packed
	if m.deflated {
		r = w.inflater(ctx, packed)
	}
	// What breaks off is good as far as it goes.
	data, _ := io.ReadAll(io.LimitReader(r, limit))
	return data
}

// readManifest finds the first encrypted entry. It is no XML parser: whoever
// hides from it hides from OpenDocument readers as well, and it needs no memory.
func readManifest(data []byte) *sighting {
	if !bytes.Contains(data, []byte(odfNamespace)) && !bytes.Contains(data, []byte(odfNamespaceOO)) {
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
			return newSighting(findingODF, "odf", member, how)
		}
		rest = rest[i+1:]
		at++
	}
}

// isElement reports whether an element's name begins at i: behind < and perhaps
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
	return string(value[:min(end, maxName)])
}

package pdf

import (
	"bytes"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Limits on the search in one document.
const (
	maxAttached  = 1000     // files
	maxNameNodes = 4096     // nodes of the name tree that lists them
	maxScan      = 16 << 20 // bytes searched for files outside the tree
)

// attachments inspects attached files (ISO 32000-2, 7.11): those in the document's list,
// and those that only an annotation refers to.
type attachments struct {
	*file
	looked map[int64]bool // offsets of the streams inspected
	nodes  int
}

// attached inspects all attached files.
func (f *file) attached(trailer dict) *walk.Sighting {
	a := &attachments{file: f, looked: make(map[int64]bool)}
	root, _ := f.resolve(trailer["Root"]).(dict)
	names, _ := f.resolve(root["Names"]).(dict)
	if seen := a.tree(names["EmbeddedFiles"], 0); seen != nil {
		return seen
	}
	associated, _ := f.resolve(root["AF"]).(array)
	for _, o := range associated[:min(len(associated), maxAttached)] {
		if seen := a.specification(o); seen != nil {
			return seen
		}
	}
	return a.search()
}

// tree walks a name tree (7.9.6).
func (a *attachments) tree(o any, depth int) *walk.Sighting {
	if a.nodes++; a.nodes > maxNameNodes || depth > maxNesting || a.walk.Stopped() != nil {
		return nil
	}
	node, _ := a.resolve(o).(dict)
	names, _ := a.resolve(node["Names"]).(array)
	for i := 1; i < len(names); i += 2 {
		if seen := a.specification(names[i]); seen != nil {
			return seen
		}
	}
	kids, _ := a.resolve(node["Kids"]).(array)
	for _, kid := range kids {
		if seen := a.tree(kid, depth+1); seen != nil {
			return seen
		}
	}
	return nil
}

// specification inspects a file specification. It reports a document that only wraps an
// encrypted one (7.6.7).
func (a *attachments) specification(o any) *walk.Sighting {
	if len(a.looked) > maxAttached || a.walk.Stopped() != nil {
		return nil
	}
	d, _ := a.resolve(o).(dict)
	name := a.string(d["F"])
	if payload, ok := a.resolve(d["EP"]).(dict); ok && a.resolve(d["AFRelationship"]) == nameObject("EncryptedPayload") {
		subtype, _ := a.resolve(payload["Subtype"]).(nameObject)
		return walk.NewSighting(walk.FindingPDF, "pdf", name, "encrypted payload, "+walk.Cut(string(subtype), walk.MaxName))
	}
	files, _ := a.resolve(d["EF"]).(dict)
	for _, key := range []nameObject{"UF", "F", "Unix", "DOS", "Mac"} {
		if r, ok := files[key].(ref); ok {
			at, stream := a.streamAt(r)
			if seen := a.embedded(at, stream, name); seen != nil {
				return seen
			}
		}
	}
	return nil
}

// streamAt locates a stream.
func (a *attachments) streamAt(r ref) (int64, dict) {
	for _, s := range a.sections {
		at, within, ok := a.locate(s, r.number)
		if !ok || within >= 0 {
			continue
		}
		if d, ok := a.objectAt(a.base+at, r.number).(dict); ok {
			return a.base + at, d
		}
	}
	at := a.file.search(objectHeader(r))
	d, _ := a.objectAt(at, r.number).(dict)
	return at, d
}

// embedded inspects an attached file.
func (a *attachments) embedded(at int64, d dict, name string) *walk.Sighting {
	if d == nil || at < 0 || a.looked[at] || a.walk.Stopped() != nil {
		return nil
	}
	a.looked[at] = true
	if a.scrambled {
		a.walk.Miss(walk.UnscannedMethod, "pdf: files attached to an encrypted document are not decrypted")
		return nil
	}
	filter, ok := a.filter(a.resolve(d["Filter"]))
	length := int64(a.int(d["Length"]))
	start := a.streamStart(at)
	if start < 0 {
		return nil
	}
	if length <= 0 || length > a.section.Size-start {
		length = a.section.Size - start
	}
	if !ok {
		a.walk.Miss(walk.UnscannedMethod, "pdf: the filter of an attached file is not supported")
		return nil
	}
	var inner *walk.Section
	var err error
	if filter == "" {
		inner, err = a.walk.Stored(a.section, start, length)
	} else {
		const zlibHeader = 2
		packed := io.NewSectionReader(a.section, min(start+zlibHeader, a.section.Size), max(0, length-zlibHeader))
		inner, err = a.walk.Unpacked(a.section, a.walk.Inflater(a.ctx, packed), -1)
	}
	if err != nil {
		return nil
	}
	return a.walk.Look(a.ctx, inner).Within("pdf", name)
}

// search finds files by the type that most programs write, unless the document is too
// large.
func (a *attachments) search() *walk.Sighting {
	size := a.section.Size
	if size > maxScan || size > a.walk.BytesLeft()/4 {
		return nil
	}
	const text = "/EmbeddedFile"
	var found []int64
	a.scan(func(at int64, _ byte) {
		if len(found) < maxAttached {
			found = append(found, at)
		}
	}, text)
	for _, at := range found {
		b := a.window(at+int64(len(text)), 1)
		if len(b) == 1 && !isSpace(b[0]) && !isDelimiter(b[0]) {
			continue // the name is longer: /EmbeddedFiles
		}
		if start := a.objectBefore(at); start >= 0 {
			d, _ := a.objectAt(start, -1).(dict)
			if d["Type"] == nameObject("EmbeddedFile") {
				if seen := a.embedded(start, d, ""); seen != nil {
					return seen
				}
			}
		}
	}
	return nil
}

// objectBefore returns the offset of the object that contains at, or -1.
func (a *attachments) objectBefore(at int64) int64 {
	const around = 4 << 10
	start := max(0, at-around)
	b := a.window(start, at-start)
	i := bytes.LastIndex(b, []byte("obj"))
	if i < 0 {
		return -1
	}
	// Skip back over the generation and the object number.
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	for range 2 {
		for i > 0 && isSpace(b[i-1]) {
			i--
		}
		for i > 0 && isDigit(b[i-1]) {
			i--
		}
	}
	return start + int64(i)
}

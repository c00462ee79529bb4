// Package pdf inspects PDF documents (ISO 32000-2): whether they open without a password,
// and what is attached to them. A document is encrypted if its trailer has /Encrypt and
// the empty user password does not open it.
//
// PDF libraries read whole documents, and give up where readers repair damage.
package pdf

import (
	"bytes"
	"context"
	"strconv"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises PDF documents. It finds the trailer and repairs broken documents as
// readers do. A document that opens with an empty password does not count as encrypted:
// its owner only forbids printing and the like.
type Detector struct{}

// Limits.
const (
	maxTail     = 64 << 10 // searched for startxref; readers expect it in the last 1 KiB
	maxObject   = 64 << 10 // a trailer, or an encryption dictionary
	maxSections = 64       // cross-reference sections
)

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.Contains(s.Head, []byte("%PDF-"))
}

// file is a document.
type file struct {
	ctx      context.Context // lives as long as the scan
	walk     *walk.Walk
	section  *walk.Section
	base     int64 // offset of the header, which file offsets count from
	sections []section
	depth    int // nesting of references being followed
	// late means that the last startxref is not where readers look for it, so they repair
	// the document.
	late bool
	// scrambled means that streams are encrypted with an empty password.
	scrambled bool
}

// section is a cross-reference section; newer ones come first.
type section struct {
	at      int64
	trailer dict
	stream  bool
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	f := &file{ctx: ctx, walk: w, section: s, base: int64(bytes.Index(s.Head, []byte("%PDF-")))}
	f.readSections()
	if w.Stopped() != nil {
		return nil, w.Stopped()
	}
	trailer := f.trailer()
	if trailer == nil || f.late && trailer["Encrypt"] == nil {
		if mended := f.mend(); mended != nil {
			trailer = mended
		}
	}
	if trailer == nil {
		return nil, w.Stopped()
	}
	encrypt, ok := f.resolve(trailer["Encrypt"]).(dict)
	if w.Stopped() != nil {
		return nil, w.Stopped()
	}
	if ok {
		how, locked := f.locked(encrypt, trailer)
		if locked || w.Stopped() != nil {
			return walk.NewSighting(walk.FindingPDF, "pdf", "", how), w.Stopped()
		}
		f.scrambled = true
	}
	return f.attached(trailer), w.Stopped()
}

// trailer returns the trailer of the newest section with the required entries.
func (f *file) trailer() dict {
	for _, s := range f.sections {
		if s.trailer["Encrypt"] != nil {
			return s.trailer
		}
	}
	if len(f.sections) > 0 && f.sections[0].trailer["Root"] != nil {
		return f.sections[0].trailer
	}
	return nil
}

// readSections follows the chain of sections that begins at the end of the document.
func (f *file) readSections() {
	tail, err := f.walk.End(f.section, maxTail)
	if err != nil {
		return
	}
	i := bytes.LastIndex(tail, []byte("startxref"))
	if i < 0 {
		return
	}
	const usual = 1 << 10
	f.late = len(tail)-i > usual
	l := lexer{b: tail[i+len("startxref"):]}
	at, ok := l.object(0).(float64)
	if !ok {
		return
	}
	seen := make(map[int64]bool)
	pending := []int64{int64(at)}
	for len(pending) > 0 && len(f.sections) < maxSections && f.walk.Stopped() == nil {
		at := pending[0]
		pending = pending[1:]
		if seen[at] || at < 0 {
			continue
		}
		seen[at] = true
		s, ok := f.readSection(f.base + at)
		if !ok {
			continue
		}
		f.sections = append(f.sections, s)
		for _, key := range []nameObject{"XRefStm", "Prev"} {
			if n, ok := s.trailer[key].(float64); ok {
				pending = append(pending, int64(n))
			}
		}
	}
}

// readSection reads the trailer of the section at offset at: after a table, or of a stream.
func (f *file) readSection(at int64) (section, bool) {
	b := f.window(at, 256)
	l := lexer{b: b}
	l.space()
	if !bytes.HasPrefix(l.b, []byte("xref")) {
		o, ok := f.objectAt(at, -1).(dict)
		return section{at: at, trailer: o, stream: true}, ok && o["Type"] == nameObject("XRef")
	}
	at += int64(len(b)-len(l.b)) + 4
	end := f.tableEnd(at)
	if end < 0 {
		return section{}, false
	}
	l = lexer{b: f.window(end, maxObject)}
	l.word()
	d, ok := l.object(0).(dict)
	return section{at: at, trailer: d}, ok
}

// tableEnd returns the offset of the word trailer after a table.
func (f *file) tableEnd(at int64) int64 {
	end := int64(-1)
	f.subsections(at, func(first, count, entries int64) bool { return true }, &end)
	return end
}

// subsections calls visit for each subsection of a table until it returns false, and sets
// end to the offset of the trailer.
func (f *file) subsections(at int64, visit func(first, count, entries int64) bool, end *int64) {
	const entry = 20
	for f.walk.Stopped() == nil {
		b := f.window(at, 128)
		l := lexer{b: b}
		l.space()
		if bytes.HasPrefix(l.b, []byte("trailer")) {
			*end = at + int64(len(b)-len(l.b))
			return
		}
		first, ok := l.integer()
		count, ok2 := l.integer()
		l.space()
		entries := at + int64(len(b)-len(l.b))
		if !ok || !ok2 || count > f.section.Size/entry || !visit(first, count, entries) {
			return
		}
		at = entries + count*entry
	}
}

// window returns up to n bytes at offset at, valid until the next call.
func (f *file) window(at, n int64) []byte {
	if at < 0 || at >= f.section.Size || f.walk.Stopped() != nil {
		return nil
	}
	b := f.walk.Buffer(min(n, f.section.Size-at))
	if walk.ReadFull(f.section, b, at) != nil {
		return nil
	}
	return b
}

// objectAt reads object n at offset at, or any object if n is negative. For a stream it
// returns the dictionary.
func (f *file) objectAt(at int64, n int) any {
	o, _ := f.objectEnd(at, n)
	return o
}

// objectEnd is objectAt, and also returns the offset of the object's end.
func (f *file) objectEnd(at int64, n int) (any, int64) {
	// Most objects are small.
	for _, size := range []int64{2 << 10, maxObject} {
		b := f.window(at, size)
		l := lexer{b: b}
		number, ok := l.integer()
		_, ok2 := l.integer()
		if !ok || !ok2 || l.word() != "obj" || n >= 0 && number != int64(n) {
			return nil, 0
		}
		o := l.object(0)
		if len(l.b) > 0 || int64(len(b)) < size {
			return o, at + int64(len(b)-len(l.b))
		}
	}
	return nil, 0
}

// resolve follows references.
func (f *file) resolve(o any) any {
	for range 8 {
		r, ok := o.(ref)
		if !ok {
			return o
		}
		o = f.object(r)
	}
	return nil
}

// objectHeader returns the text that begins an object.
func objectHeader(r ref) string {
	return strconv.Itoa(r.number) + " " + strconv.Itoa(r.generation) + " obj"
}

package pdf

import (
	"bytes"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// object reads an object through the cross-reference table or, failing that, by searching
// the document.
func (f *file) object(r ref) any {
	if f.depth > 8 {
		return nil
	}
	f.depth++
	defer func() { f.depth-- }()
	for _, s := range f.sections {
		if f.walk.Stopped() != nil {
			return nil
		}
		at, within, ok := f.locate(s, r.number)
		if !ok {
			continue
		}
		var o any
		if within >= 0 {
			o = f.packedObject(ref{number: int(at)}, r.number)
		} else {
			o = f.objectAt(f.base+at, r.number)
		}
		if o != nil {
			return o
		}
		break
	}
	if at := f.search(objectHeader(r)); at >= 0 {
		return f.objectAt(at, r.number)
	}
	return nil
}

// locate returns where a section says that an object is: its offset, or its object stream's
// number and the index in it.
func (f *file) locate(s section, number int) (at int64, within int, ok bool) {
	if s.stream {
		return f.locateInStream(s, int64(number))
	}
	const entry = 20
	found := int64(-1)
	end := int64(-1)
	f.subsections(s.at, func(first, count, entries int64) bool {
		if int64(number) < first || int64(number) >= first+count {
			return true
		}
		l := lexer{b: f.window(entries+(int64(number)-first)*entry, entry)}
		offset, ok := l.integer()
		l.word()
		if ok && l.word() == "n" {
			found = offset
		}
		return false
	}, &end)
	return found, -1, found >= 0
}

// widths are the field widths of a cross-reference stream's entries.
type widths [3]int

func (f *file) widths(d dict) (w widths, ok bool) {
	a, ok := f.resolve(d["W"]).(array)
	if !ok || len(a) < 3 {
		return w, false
	}
	for i := range w {
		n, ok := a[i].(float64)
		if !ok || n < 0 || n > 8 {
			return w, false
		}
		w[i] = int(n)
	}
	return w, w[0]+w[1]+w[2] > 0
}

// locateInStream reads the rows of a cross-reference stream up to the object's.
func (f *file) locateInStream(s section, number int64) (at int64, within int, ok bool) {
	w, ok := f.widths(s.trailer)
	if !ok {
		return 0, 0, false
	}
	row, ok := f.row(s.trailer, number)
	if !ok {
		return 0, 0, false
	}
	r := f.stream(s.at, s.trailer)
	if r == nil {
		return 0, 0, false
	}
	width := int64(w[0] + w[1] + w[2])
	if _, err := io.CopyN(io.Discard, r, row*width); err != nil {
		return 0, 0, false
	}
	b := make([]byte, width)
	if _, err := io.ReadFull(r, b); err != nil {
		return 0, 0, false
	}
	return w.read(b)
}

// read decodes a row like locate.
func (w widths) read(b []byte) (at int64, within int, ok bool) {
	field := func(n int) int64 {
		v := int64(0)
		for _, c := range b[:n] {
			v = v<<8 | int64(c)
		}
		b = b[n:]
		return v
	}
	kind := int64(1) // the default if the field is absent
	if v := field(w[0]); w[0] > 0 {
		kind = v
	}
	at, place := field(w[1]), field(w[2])
	switch kind {
	case 1:
		return at, -1, true
	case 2:
		return at, int(place & 0xffff), true
	}
	return 0, 0, false
}

// row returns the index of an object's row.
func (f *file) row(d dict, number int64) (int64, bool) {
	index, ok := f.resolve(d["Index"]).(array)
	if !ok {
		return number, true
	}
	row := int64(0)
	for i := 0; i+1 < len(index); i += 2 {
		first, ok := index[i].(float64)
		count, ok2 := index[i+1].(float64)
		if !ok || !ok2 || first < 0 || count < 0 {
			return 0, false
		}
		if number >= int64(first) && number < int64(first)+int64(count) {
			return row + number - int64(first), true
		}
		row += int64(count)
	}
	return 0, false
}

// packedObject reads an object from an object stream (7.5.7).
func (f *file) packedObject(container ref, number int) any {
	at, within := int64(-1), 0
	for _, s := range f.sections {
		var ok bool
		if at, within, ok = f.locate(s, container.number); ok {
			break
		}
		at = -1
	}
	if at < 0 || within >= 0 {
		return nil
	}
	d, ok := f.objectAt(f.base+at, container.number).(dict)
	if !ok || d["Type"] != nameObject("ObjStm") {
		return nil
	}
	first, ok := f.resolve(d["First"]).(float64)
	r := f.stream(f.base+at, d)
	if !ok || r == nil || first < 0 {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(r, 1<<20))
	for l := (lexer{b: b}); ; {
		n, ok := l.integer()
		offset, ok2 := l.integer()
		if !ok || !ok2 {
			return nil
		}
		if start := int64(first) + offset; n == int64(number) && start < int64(len(b)) {
			o := lexer{b: b[start:]}
			return o.object(0)
		}
	}
}

// stream unpacks the stream of the object at offset at without decrypting it: the streams
// needed here are never encrypted.
func (f *file) stream(at int64, d dict) io.Reader {
	// Resolve first: it invalidates the window.
	filter, ok := f.filter(f.resolve(d["Filter"]))
	parameters := f.parameters(d)
	start := f.streamStart(at)
	if !ok {
		f.walk.Miss(walk.UnscannedMethod, "pdf: the filter of an object stream is not supported")
	}
	if !ok || start < 0 {
		return nil
	}
	var r io.Reader = io.NewSectionReader(f.section, start, f.section.Size-start)
	if filter == "FlateDecode" {
		if _, err := io.CopyN(io.Discard, r, 2); err != nil { // zlib's header
			return nil
		}
		r = f.walk.Inflater(f.ctx, r)
	}
	return unpredict(r, parameters)
}

// streamStart returns the offset of the stream's bytes, for the object at offset at, or -1.
func (f *file) streamStart(at int64) int64 {
	_, end := f.objectEnd(at, -1)
	b := f.window(end, 64)
	l := lexer{b: b}
	if l.word() != "stream" {
		return -1
	}
	if bytes.HasPrefix(l.b, []byte("\r")) {
		l.b = l.b[1:]
	}
	if bytes.HasPrefix(l.b, []byte("\n")) {
		l.b = l.b[1:]
	}
	return end + int64(len(b)-len(l.b))
}

// filter returns the name of the only filter, empty if there is none.
func (f *file) filter(o any) (string, bool) {
	if a, ok := o.(array); ok {
		if len(a) > 1 {
			return "", false
		}
		o = nil
		if len(a) == 1 {
			o = f.resolve(a[0])
		}
	}
	name, ok := o.(nameObject)
	if o == nil {
		return "", true
	}
	return string(name), ok && name == "FlateDecode"
}

func (f *file) parameters(d dict) dict {
	o := f.resolve(d["DecodeParms"])
	if a, ok := o.(array); ok && len(a) > 0 {
		o = f.resolve(a[0])
	}
	p, _ := o.(dict)
	return p
}

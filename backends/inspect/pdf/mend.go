package pdf

import "bytes"

// search returns the offset of the last occurrence of an object's header, or -1.
func (f *file) search(header string) int64 {
	found := int64(-1)
	f.scan(func(at int64, before byte) {
		if isSpace(before) {
			found = at
		}
	}, header)
	return found
}

// scan searches the document and calls visit for every occurrence of one of texts, with the
// byte before it.
func (f *file) scan(visit func(at int64, before byte), texts ...string) {
	const step, overlap = 60 << 10, 1 << 10
	s := f.section
	if s.Size+s.Size/8 > f.walk.BytesLeft() {
		f.walk.Note("MaxBytes", f.walk.Limits.MaxBytes)
		return
	}
	for from := int64(0); from < s.Size && f.walk.Stopped() == nil; from += step {
		b := f.window(from, step+overlap)
		for _, text := range texts {
			for i := 0; ; i++ {
				n := bytes.Index(b[i:], []byte(text))
				if n < 0 || i+n >= step {
					break
				}
				i += n
				before := byte('\n')
				if i > 0 {
					before = b[i-1]
				}
				visit(from+int64(i), before)
			}
		}
	}
}

// mend finds a trailer in a document with a broken cross-reference table: the last one
// with /Encrypt, or a cross-reference stream's.
func (f *file) mend() dict {
	var found []int64
	f.scan(func(at int64, _ byte) {
		if found = append(found, at); len(found) > maxSections {
			found = found[1:]
		}
	}, "trailer", "/XRef")
	for i := len(found) - 1; i >= 0 && f.walk.Stopped() == nil; i-- {
		if d := f.trailerNear(found[i]); d["Encrypt"] != nil {
			return d
		}
	}
	return nil
}

// trailerNear reads the dictionary after the word trailer, or the one around the type of a
// cross-reference stream.
func (f *file) trailerNear(at int64) dict {
	const around = 4 << 10
	l := lexer{b: f.window(at, maxObject)}
	if l.word() == "trailer" {
		d, _ := l.object(0).(dict)
		return d
	}
	start := max(0, at-around)
	b := f.window(start, around+maxObject/2)
	i := bytes.LastIndex(b[:min(int64(len(b)), at-start)], []byte(" obj"))
	if i < 0 {
		return nil
	}
	l = lexer{b: b[i+len(" obj"):]}
	d, _ := l.object(0).(dict)
	if d["Type"] != nameObject("XRef") {
		return nil
	}
	return d
}

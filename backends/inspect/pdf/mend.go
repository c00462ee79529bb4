package pdf

import "bytes"

// search returns where an object's header stands last in the document, or -1.
func (f *pdfFile) search(header string) int64 {
	found := int64(-1)
	f.scan(func(at int64, before byte) {
		if isPDFSpace(before) {
			found = at
		}
	}, header)
	return found
}

// scan reads the document and calls visit for every place where one of texts
// stands, with the byte before it.
func (f *pdfFile) scan(visit func(at int64, before byte), texts ...string) {
	const step, overlap = 60 << 10, 1 << 10
	s := f.section
	if s.Size+s.Size/8 > f.walk.Left() {
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

// mend finds a trailer in a document whose cross-reference table is broken: the
// last one that has /Encrypt, or that of a cross-reference stream.
func (f *pdfFile) mend() pdfDict {
	var found []int64
	f.scan(func(at int64, _ byte) {
		if found = append(found, at); len(found) > maxPDFSections {
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

// trailerNear reads the dictionary behind the word trailer, or around the type
// of a cross-reference stream.
func (f *pdfFile) trailerNear(at int64) pdfDict {
	const around = 4 << 10
	l := pdfLexer{b: f.window(at, maxPDFObject)}
	if l.word() == "trailer" {
		d, _ := l.object(0).(pdfDict)
		return d
	}
	start := max(0, at-around)
	b := f.window(start, around+maxPDFObject/2)
	i := bytes.LastIndex(b[:min(int64(len(b)), at-start)], []byte(" obj"))
	if i < 0 {
		return nil
	}
	l = pdfLexer{b: b[i+len(" obj"):]}
	d, _ := l.object(0).(pdfDict)
	if d["Type"] != pdfName("XRef") {
		return nil
	}
	return d
}

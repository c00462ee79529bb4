package walk

import "bytes"

// Signed is a detector for archives that may follow something else in a file, as in a
// self-extracting program.
type Signed interface {
	Detector
	// Signature returns the bytes that such an archive begins with.
	Signature() string
}

const (
	// maxStub is how far into a file such an archive may begin, the same as in unrar.
	maxStub = 1 << 20
	// maxPlaces limits the number of recorded signatures.
	maxPlaces = 4096
)

// place is where a signature was found.
type place struct {
	signature string
	at        int64
}

// MatchSignature reports whether s may contain such an archive.
func MatchSignature(s *Section, signature string) bool {
	return bytes.HasPrefix(s.Head, []byte(signature)) || s.MayHaveStub()
}

// FindSignature returns the offset of an archive with this signature: at the start of s
// or, if [Section.MayHaveStub], after something else. accept can reject false matches.
// Stored members that have already been inspected do not count.
func FindSignature(w *Walk, s *Section, signature string, accept func(at int64) bool) (int64, bool) {
	if bytes.HasPrefix(s.Head, []byte(signature)) && accept(0) {
		return 0, true
	}
	if !s.MayHaveStub() {
		return 0, false
	}
	s.search(w)
	for _, p := range s.places {
		if p.at > 0 && p.signature == signature && !s.members[p.at] && accept(p.at) {
			return p.at, true
		}
	}
	return 0, false
}

// search finds the signatures of all detectors in one pass.
func (s *Section) search(w *Walk) {
	if s.searched {
		return
	}
	s.searched = true
	var signatures []string
	longest := 0
	for _, d := range w.detectors {
		if d, ok := d.(Signed); ok {
			signatures = append(signatures, d.Signature())
			longest = max(longest, len(d.Signature()))
		}
	}
	const step = 16 << 10
	end := min(s.Size, maxStub)
	for from := int64(0); from < end; from += step {
		b := w.Buffer(min(step+int64(longest)-1, s.Size-from))
		if ReadFull(s, b, from) != nil {
			return
		}
		for _, signature := range signatures {
			s.find(b, from, step, signature)
		}
		if len(s.places) >= maxPlaces {
			w.Note("MaxMembers", maxPlaces)
			return
		}
	}
}

// find records where signature begins in the first step bytes of b, which starts at
// offset from.
func (s *Section) find(b []byte, from, step int64, signature string) {
	for i := 0; len(s.places) < maxPlaces; i++ {
		n := bytes.Index(b[i:], []byte(signature))
		if i += n; n < 0 || int64(i) >= step {
			return
		}
		s.places = append(s.places, place{signature, from + int64(i)})
	}
}

// MayHaveStub reports whether an archive may follow something else in s. That is so for
// the object itself and for mail attachments, because readers get those as files, and for
// programs. Other members are not searched, because that would mean unpacking all of
// them.
func (s *Section) MayHaveStub() bool {
	return s.Attached || s.ReaderAt != nil && s.Depth == 0 || s.IsProgram()
}

// IsProgram reports whether s is a program, which may be self-extracting, and can be read
// at no extra cost.
func (s *Section) IsProgram() bool {
	return (s.ReaderAt != nil || s.prepaid) && (bytes.HasPrefix(s.Head, []byte("MZ")) || bytes.HasPrefix(s.Head, []byte("\x7fELF")))
}

package walk

import "bytes"

// Signed is a detector of archives that may follow something else in a file, as
// in a program that unpacks itself.
type Signed interface {
	Detector
	// Signature is how such an archive begins.
	Signature() string
}

const (
	// maxStub is how far into a file such an archive may begin: unrar searches as
	// much.
	maxStub = 1 << 20
	// maxPlaces bounds how many signatures are remembered.
	maxPlaces = 4096
)

// place is where a signature is.
type place struct {
	signature string
	at        int64
}

// MatchSignature reports whether an archive may be in s.
func MatchSignature(s *Section, signature string) bool {
	return bytes.HasPrefix(s.Head, []byte(signature)) || s.Prefixed()
}

// FindSignature returns where an archive begins that has a signature: at the start
// or, if s is [Section.Prefixed], after something else. accept may refuse what only
// looks like one. A stored member that has been looked into does not count.
func FindSignature(w *Walk, s *Section, signature string, accept func(at int64) bool) (int64, bool) {
	if bytes.HasPrefix(s.Head, []byte(signature)) && accept(0) {
		return 0, true
	}
	if !s.Prefixed() {
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

// search finds the signatures of all detectors, in one pass.
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

// find adds the places of a signature that begin in the first step bytes of b,
// which is at from.
func (s *Section) find(b []byte, from, step int64, signature string) {
	for i := 0; len(s.places) < maxPlaces; i++ {
		n := bytes.Index(b[i:], []byte(signature))
		if i += n; n < 0 || int64(i) >= step {
			return
		}
		s.places = append(s.places, place{signature, from + int64(i)})
	}
}

// Prefixed reports whether an archive may follow something else in s: in the object
// itself and in what is attached to a mail, because their readers get those as
// files, and in programs. Other members are not searched where that would cost
// unpacking all of them.
func (s *Section) Prefixed() bool {
	return s.Attached || s.ReaderAt != nil && s.Depth == 0 || s.IsProgram()
}

// IsProgram reports whether s is a program that may unpack itself, and reading it
// costs nothing more.
func (s *Section) IsProgram() bool {
	return (s.ReaderAt != nil || s.cheap) && (bytes.HasPrefix(s.Head, []byte("MZ")) || bytes.HasPrefix(s.Head, []byte("\x7fELF")))
}

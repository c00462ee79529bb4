package walk

import "bytes"

// maxStub is how far into a program the archive that it unpacks may begin.
const maxStub = 1 << 20

// FindSignature returns where a signature first stands: at the start, or in a
// program's first megabyte behind it. accept may refuse what only looks like it.
func FindSignature(w *Walk, s *Section, signature string, accept func(at int64) bool) (int64, bool) {
	if bytes.HasPrefix(s.Head, []byte(signature)) {
		return 0, accept(0)
	}
	if !IsProgram(s.Head) {
		return 0, false
	}
	const step = 16 << 10
	end := min(s.Size, maxStub)
	for from := int64(0); from < end; from += step {
		b := w.Buffer(min(step+int64(len(signature))-1, s.Size-from))
		if ReadFull(s, b, from) != nil {
			return 0, false
		}
		// accept may use the same memory: find all first.
		var found [8]int64
		n := 0
		for rest, at := b, from; n < len(found); n++ {
			i := bytes.Index(rest, []byte(signature))
			if i < 0 {
				break
			}
			found[n] = at + int64(i)
			rest, at = rest[i+1:], at+int64(i)+1
		}
		for _, at := range found[:n] {
			if accept(at) {
				return at, true
			}
		}
	}
	return 0, false
}

// MatchSignature reports whether an archive may be there.
func MatchSignature(s *Section, signature string) bool {
	return bytes.HasPrefix(s.Head, []byte(signature)) || s.IsProgram()
}

// IsProgram reports whether s is a program that may unpack itself, and is
// searched for what it unpacks: not where that would cost unpacking all programs.
func (s *Section) IsProgram() bool {
	return (s.ReaderAt != nil || s.cheap) && IsProgram(s.Head)
}

func IsProgram(head []byte) bool {
	return bytes.HasPrefix(head, []byte("MZ")) || bytes.HasPrefix(head, []byte("\x7fELF"))
}

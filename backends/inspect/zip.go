package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
)

// zipDetector knows ZIP archives, as PKWARE's APPNOTE.TXT 6.3.10 describes them.
// It reads the central directory itself and record by record: archive/zip makes
// an object of each record before it returns.
type zipDetector struct{}

// The signatures of the records.
const (
	zipLocal       = "PK\x03\x04"
	zipCentral     = "PK\x01\x02"
	zipEnd         = "PK\x05\x06"
	zipEnd64       = "PK\x06\x06"
	zipEnd64Locate = "PK\x06\x07"
)

// zipHeads are how an archive begins: empty, whole, or the first of many parts.
var zipHeads = []string{zipLocal, zipEnd, "PK\x07\x08" + zipLocal, "PK00" + zipLocal}

// The general purpose flags that mean encryption (4.4.4), and the method that
// does (4.4.5).
const (
	zipFlagEncrypted = 1 << 0
	zipFlagStrong    = 1 << 6
	zipFlagMasked    = 1 << 13 // local headers masked, directory encrypted
	zipMethodAES     = 99
)

// zipEncryption says how a member with these is encrypted, or nothing.
func zipEncryption(flags, method uint16) string {
	switch {
	case method == zipMethodAES:
		return "AES"
	case flags&zipFlagMasked != 0:
		return "strong encryption with an encrypted directory"
	case flags&zipFlagStrong != 0:
		return "strong encryption"
	case flags&zipFlagEncrypted != 0:
		return "ZipCrypto"
	}
	return ""
}

// match implements detector. Anything may stand before an archive, a program
// that unpacks it as a rule; only the content itself and stored programs are
// looked at from behind.
func (zipDetector) match(w *walk, s *section) bool {
	for _, h := range zipHeads {
		if bytes.HasPrefix(s.head, []byte(h)) {
			return true
		}
	}
	if s.ReaderAt == nil || s.depth > 0 && !isProgram(s.head) {
		return false
	}
	end, err := w.scratch.end(s, maxZipEnd)
	return err == nil && bytes.Contains(end, []byte(zipEnd))
}

func isProgram(head []byte) bool {
	return bytes.HasPrefix(head, []byte("MZ")) || bytes.HasPrefix(head, []byte("\x7fELF"))
}

// look implements detector. All members' flags come first: they cost little, and
// what is encrypted there needs no unpacking.
func (z zipDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	dirs, err := zipDirectories(w, s)
	if err != nil {
		return nil, err
	}
	whole := false
	for _, d := range dirs {
		seen, complete := z.flags(s, d)
		if seen != nil || w.stop != nil {
			return seen, w.stop
		}
		whole = whole || complete
	}
	if !whole {
		if seen := z.lookLocal(w, s); seen != nil || w.stop != nil {
			return seen, w.stop
		}
	}
	for _, d := range dirs {
		if seen := z.members(ctx, w, s, d); seen != nil || w.stop != nil {
			return seen, w.stop
		}
	}
	return nil, nil
}

// flags looks for a member that is encrypted. complete says that the directory
// could be read to its end.
func (zipDetector) flags(s *section, d zipDirectory) (seen *sighting, complete bool) {
	r := d.reader(s)
	for {
		e, err := r.next()
		if err != nil {
			return nil, err == io.EOF
		}
		if e.isDirectory() && e.packed == 0 {
			continue
		}
		if how := zipEncryption(e.flags, e.method); how != "" {
			return sightingInZip(e.name, how), false
		}
	}
}

// members looks into the members that may be containers themselves.
func (zipDetector) members(ctx context.Context, w *walk, s *section, d zipDirectory) *sighting {
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.stop != nil {
			return nil
		}
		m, ok := e.locate(w, s, d.base)
		if !ok {
			continue
		}
		inner, err := w.open(ctx, s, m)
		if err != nil || inner == nil {
			continue // broken, or stopped
		}
		if seen := w.look(ctx, inner); seen != nil {
			seen.detail = cut(fmt.Sprintf("member %q in zip: %s", e.name, seen.detail), maxDetail)
			return seen
		}
	}
}

// locate finds the bytes of a member by its local header. It reports false for
// a member that cannot be read or cannot be a container.
func (e *zipEntry) locate(w *walk, s *section, base int64) (member, bool) {
	const stored, deflated = 0, 8
	if e.method != stored && e.method != deflated || e.packed < smallestContainer || e.isDirectory() {
		return member{}, false
	}
	offset := base + int64(e.offset) // may wrap around; then it is negative or lies outside
	if offset < 0 || offset > s.size-zipLocalSize {
		return member{}, false
	}
	h := w.scratch.local[:zipLocalSize]
	if readFull(s, h, offset) != nil || string(h[:4]) != zipLocal {
		return member{}, false
	}
	start := offset + zipLocalSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	if start >= s.size {
		return member{}, false
	}
	size := s.size - start
	if e.packed < uint64(size) {
		size = int64(e.packed)
	}
	return member{packed: io.NewSectionReader(s, start, size), deflated: e.method == deflated, declared: int64(min(e.unpacked, 1<<62))}, true
}

// smallestContainer is less than any container with something encrypted in it
// takes, compressed.
const smallestContainer = 16

// sightingInZip says what was seen.
func sightingInZip(name []byte, how string) *sighting {
	return &sighting{
		name:   "Heuristics.Encrypted.Zip",
		detail: fmt.Sprintf("member %q in zip: %s", name, how),
	}
}

// maxDetail bounds what a sighting tells.
const maxDetail = 1024

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return s[:n]
}

// Package zip knows ZIP archives, as PKWARE's APPNOTE.TXT 6.3.10 describes them,
// and looks into their members.
package zip

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/documents"
	"polyclam/backends/inspect/internal/walk"
)

// Detector knows ZIP archives, as PKWARE's APPNOTE.TXT 6.3.10 describes them.
// It reads the central directory itself and record by record: archive/zip makes
// an object of each record before it returns.
type Detector struct{}

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

// Match implements [walk.Detector]. Anything may stand before an archive, a program
// that unpacks it as a rule; only the content itself and stored programs are
// looked at from behind.
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	for _, h := range zipHeads {
		if bytes.HasPrefix(s.Head, []byte(h)) {
			return true
		}
	}
	if s.Depth > 0 && !s.IsProgram() {
		return false
	}
	if s.ReaderAt == nil {
		return s.Depth > 0
	}
	end, err := w.End(s, maxZipEnd)
	return err == nil && bytes.Contains(end, []byte(zipEnd))
}

// Look implements [walk.Detector]. All members' flags come first: they cost little, and
// what is encrypted there needs no unpacking.
func (z Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	dirs, err := zipDirectories(w, s)
	if err != nil {
		return nil, err
	}
	whole, document := false, false
	for _, d := range dirs {
		f := z.flags(s, d)
		if f.seen != nil || w.Stopped() != nil {
			return f.seen, w.Stopped()
		}
		whole = whole || f.complete
		document = document || f.manifest
	}
	if !whole {
		if seen := z.lookLocal(w, s, dirs); seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
	}
	for _, d := range dirs {
		if document {
			if seen := z.manifest(ctx, w, s, d); seen != nil || w.Stopped() != nil {
				return seen, w.Stopped()
			}
		}
		if seen := z.members(ctx, w, s, d); seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
	}
	return nil, nil
}

// zipFlags is what a directory says by itself.
type zipFlags struct {
	seen     *walk.Sighting // the first member that is encrypted
	complete bool           // the directory could be read to its end
	manifest bool           // it may be an OpenDocument
}

// flags looks for a member that is encrypted.
func (Detector) flags(s *walk.Section, d zipDirectory) zipFlags {
	var f zipFlags
	for r := d.reader(s); ; {
		e, err := r.next()
		if e != nil && (e.packed > 0 || !e.isDirectory()) {
			if how := zipEncryption(e.flags, e.method); how != "" {
				f.seen = walk.NewSighting(walk.FindingZip, "zip", string(e.name), how)
				return f
			}
		}
		if err != nil {
			f.complete = err == io.EOF
			return f
		}
		f.manifest = f.manifest || string(e.name) == documents.ODFManifest
	}
}

// members looks into the members that may be containers themselves.
func (Detector) members(ctx context.Context, w *walk.Walk, s *walk.Section, d zipDirectory) *walk.Sighting {
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.Stopped() != nil {
			return nil
		}
		m, ok := e.locate(w, s, d.base)
		if !ok {
			continue
		}
		inner, err := m.open(ctx, w, s)
		if err != nil || inner == nil {
			continue // broken, or stopped
		}
		if seen := w.Look(ctx, inner); seen != nil {
			return seen.Within("zip", string(e.name))
		}
	}
}

// zipMember is where the bytes of a member lie.
type zipMember struct {
	at, size int64
	deflated bool
	declared int64 // size when unpacked, as the container says
}

// locate finds the bytes of a member by its local header. It reports false for
// a member that cannot be read or cannot be a container.
func (e *zipEntry) locate(w *walk.Walk, s *walk.Section, base int64) (zipMember, bool) {
	const stored, deflated = 0, 8
	if e.method != stored && e.method != deflated || e.packed < walk.SmallestContainer || e.isDirectory() {
		return zipMember{}, false
	}
	offset := base + int64(e.offset) // may wrap around; then it is negative or lies outside
	if offset < 0 || offset > s.Size-zipLocalSize {
		return zipMember{}, false
	}
	h := w.Header(zipLocalSize)
	if walk.ReadFull(s, h, offset) != nil || string(h[:4]) != zipLocal {
		return zipMember{}, false
	}
	start := offset + zipLocalSize + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	if start >= s.Size {
		return zipMember{}, false
	}
	size := s.Size - start
	if e.packed < uint64(size) {
		size = int64(e.packed)
	}
	return zipMember{start, size, e.method == deflated, int64(min(e.unpacked, 1<<62))}, true
}

// open makes a section of a member if it is a container: nil if not.
func (m zipMember) open(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Section, error) {
	if !m.deflated {
		return w.Stored(s, m.at, m.size)
	}
	return w.Unpacked(s, w.Inflater(ctx, io.NewSectionReader(s, m.at, m.size)), m.declared)
}

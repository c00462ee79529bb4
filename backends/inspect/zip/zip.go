// Package zip inspects ZIP archives (PKWARE's APPNOTE.TXT 6.3.10). A member is encrypted if
// bit 0, 6 or 13 of its flags is set, or if its method is AES (99) or one of iWork '09's;
// both the central directory and the local headers are checked. For documents that are ZIP
// archives see package documents.
//
// archive/zip is not used because it reads the whole directory into memory, rejects
// archives that other programs open, and supports fewer methods.
package zip

import (
	"bytes"
	"context"
	"io"
	"strings"

	"polyclam/backends/inspect/documents"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises ZIP archives, also after other data.
type Detector struct{}

// The record signatures.
const (
	local       = "PK\x03\x04"
	central     = "PK\x01\x02"
	endRecord   = "PK\x05\x06"
	end64       = "PK\x06\x06"
	end64Locate = "PK\x06\x07"
)

// heads are how an archive may begin: with a member, empty, or as the first part of a split
// archive.
var heads = []string{local, endRecord, "PK\x07\x08" + local, "PK00" + local}

// The flags that indicate encryption (4.4.4), and the method that does (4.4.5).
const (
	flagEncrypted = 1 << 0
	flagStrong    = 1 << 6
	flagMasked    = 1 << 13 // local headers masked, directory encrypted
	methodAES     = 99
	// Written by iWork '09 for documents with a password.
	methodIWork     = 0x636b
	methodIWorkMore = 0x636c
)

const iWorkPassword = "password of iWork 2009"

func sighting(name, how string) *walk.Sighting {
	if how == iWorkPassword {
		return walk.NewSighting(walk.FindingPrefix+"IWork", "iwork", name, how)
	}
	return walk.NewSighting(walk.FindingZip, "zip", name, how)
}

// encryptionOf returns how a member is encrypted, or "".
func encryptionOf(flags, method uint16) string {
	switch {
	case method == methodIWork || method == methodIWorkMore:
		return iWorkPassword
	case method == methodAES:
		return "AES"
	case flags&flagMasked != 0:
		return "strong encryption with an encrypted directory"
	case flags&flagStrong != 0:
		return "strong encryption"
	case flags&flagEncrypted != 0:
		return "ZipCrypto"
	}
	return ""
}

// Match implements [walk.Detector]. Anything may precede an archive. Finding that out
// requires reading the end, so compressed members are judged by their head only.
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	for _, h := range heads {
		if bytes.HasPrefix(s.Head, []byte(h)) {
			return true
		}
	}
	if s.ReaderAt == nil {
		return s.MayHaveStub()
	}
	size := int64(maxEnd)
	if !s.MayHaveStub() {
		size = walk.HeadSize // this runs for every member of every archive
	}
	end, err := w.End(s, size)
	return err == nil && bytes.Contains(end, []byte(endRecord))
}

// Look implements [walk.Detector]. It checks the flags of all members first: that is cheap,
// and may make unpacking unnecessary.
func (z Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	dirs, err := directories(w, s)
	if err != nil {
		return nil, err
	}
	whole, found, document := false, false, false
	for _, d := range dirs {
		f := z.flags(w, s, d)
		if f.seen != nil || w.Stopped() != nil {
			return f.seen, w.Stopped()
		}
		whole = whole || f.complete
		found = found || f.found
		document = document || f.document
	}
	if !whole {
		if seen := z.lookLocal(w, s, dirs); seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
		if found {
			w.Miss(walk.UnscannedBroken, "zip: the directory is broken")
		}
	}
	for _, d := range dirs {
		if document {
			if seen := z.document(ctx, w, s, d); seen != nil || w.Stopped() != nil {
				return seen, w.Stopped()
			}
		}
		if seen := z.members(ctx, w, s, d); seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
	}
	return z.before(ctx, w, s, dirs)
}

// before inspects another archive that precedes this one: some programs open the first,
// others the last.
func (Detector) before(ctx context.Context, w *walk.Walk, s *walk.Section, dirs []directory) (*walk.Sighting, error) {
	if !bytes.HasPrefix(s.Head, []byte(local)) {
		return nil, nil
	}
	for _, d := range dirs {
		if d.base <= 0 || d.base >= s.Size {
			continue
		}
		inner, err := w.Stored(s, 0, d.base)
		if err != nil {
			return nil, err
		}
		if seen := w.Look(ctx, inner); seen != nil || w.Stopped() != nil {
			return seen, w.Stopped()
		}
	}
	return nil, nil
}

// summary is what a directory alone reveals.
type summary struct {
	seen     *walk.Sighting // of the first encrypted member
	complete bool           // the directory was read to its end
	found    bool           // the first member exists
	document bool           // it may be a document with its own encryption
}

// flags looks for an encrypted member that exists: garbage may look like a directory, but
// not at the same time like the members it lists. Most members of a split archive are
// elsewhere.
func (Detector) flags(w *walk.Walk, s *walk.Section, d directory) summary {
	var f summary
	first := true
	for r := d.reader(s); ; {
		e, err := r.next()
		f.found = f.found || first && e != nil && e.isThere(w, s, d.base)
		first = false
		if e != nil && (e.packed > 0 || !e.isDirectory()) {
			how := encryptionOf(e.flags, e.method)
			if how != "" && (d.elsewhere(e) || e.isThere(w, s, d.base)) {
				f.seen = sighting(string(e.name), how)
				return f
			}
		}
		if err != nil {
			f.complete = err == io.EOF
			return f
		}
		f.document = f.document || documents.Has(string(e.name))
	}
}

// members inspects the members that may be containers themselves.
func (Detector) members(ctx context.Context, w *walk.Walk, s *walk.Section, d directory) *walk.Sighting {
	found, missing := false, false
	for r := d.reader(s); ; {
		e, err := r.next()
		if err != nil || w.Stopped() != nil {
			break
		}
		if e.isDirectory() || e.packed < walk.SmallestContainer {
			continue
		}
		if d.elsewhere(e) {
			w.Miss(walk.UnscannedSplit, "zip: a member is in another part of the archive")
			continue
		}
		m, ok := e.locate(w, s, d.base)
		if found, missing = found || ok, missing || !ok; !ok {
			continue
		}
		name := strings.Clone(string(e.name))
		if m.encryption != "" {
			return sighting(name, m.encryption)
		}
		if seen := m.look(ctx, w, s); seen != nil {
			return seen.Within("zip", name)
		}
	}
	if found && missing {
		w.Miss(walk.UnscannedBroken, "zip: a member is not where the directory says")
	}
	return nil
}

// member locates the data of a member.
type member struct {
	at, size   int64
	cut        bool // the archive ends before the data does
	method     uint16
	other      uint16 // method in the local header
	flags      uint16
	declared   int64  // unpacked size according to the directory
	encryption string // according to the local header
}

// isThere reports whether a member has a local header.
func (e *entry) isThere(w *walk.Walk, s *walk.Section, base int64) bool {
	offset := base + int64(e.offset) // may overflow; then it is negative or out of range
	if offset < 0 || offset > s.Size-localSize {
		return false
	}
	h := w.Header(localSize)
	return walk.ReadFull(s, h, offset) == nil && string(h[:4]) == local
}

// locate finds the data of a member through its local header. It reports false if there is
// none.
func (e *entry) locate(w *walk.Walk, s *walk.Section, base int64) (member, bool) {
	if !e.isThere(w, s, base) {
		return member{}, false
	}
	offset := base + int64(e.offset)
	h, sound := readLocal(w, s, offset)
	if h.data >= s.Size {
		return member{}, false
	}
	m := member{at: h.data, size: s.Size - h.data, method: e.method, other: e.method, flags: e.flags, declared: int64(min(e.unpacked, 1<<62))}
	if m.cut = e.packed > uint64(m.size); !m.cut {
		m.size = int64(e.packed)
	}
	if sound && string(h.name) == string(e.name) {
		m.encryption = encryptionOf(h.flags, h.method)
		m.other = h.method
	}
	return m, true
}

// Package rar inspects RAR archives of all versions. Signs of encryption are a flag of the
// main header or of a file (RAR 1.5 to 4: technote.txt of RAR 4, and rardecode), an
// encryption block or an encryption record of a file (RAR 5 and later:
// rarlab.com/technote.htm), and a file flag in RAR 1.4 (unrar's headers14).
//
// github.com/nwaples/rardecode unpacks members. This package parses the headers, because
// rardecode allocates a member's dictionary before it returns the header, and first
// checks each compressed stream without unpacking it, so that rardecode needs no more
// memory or time than the member's size suggests.
package rar

import (
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises RAR archives since version 1.5, including those in self-extracting
// programs.
type Detector struct{}

// How the two kinds of archives begin.
const (
	signature  = "Rar!\x1a\x07"
	signature4 = signature + "\x00"
	signature5 = signature + "\x01\x00"
)

// Signature implements [walk.Signed].
func (Detector) Signature() string { return signature }

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return walk.MatchSignature(s, signature)
}

// block is a parsed header.
type block struct {
	next  int64          // offset of the next header
	seen  *walk.Sighting // of something encrypted
	entry *entry         // the member, if any
	end   bool
	main  bool // the main header
	solid bool // the archive is solid
}

// entry is a member.
type entry struct {
	name       string
	at, packed int64 // offset and size of its data
	unpacked   int64 // unpacked size, negative if unknown
	dictionary int64
	version    byte // compression version
	stored     bool
	solid      bool
	cut        bool // the archive ends before its data does
	split      bool // parts are in other volumes
	directory  bool
}

// Look implements [walk.Detector].
func (r Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	version := byte(0)
	at, ok := walk.FindSignature(w, s, signature, func(at int64) bool {
		var b [2]byte
		if at+int64(len(signature5)) > s.Size || walk.ReadFull(s, b[:], at+int64(len(signature))) != nil {
			return false
		}
		version = b[0]
		return b[0] == 0 || b[0] == 1 && b[1] == 0
	})
	if !ok {
		return nil, nil
	}
	next := next4
	first := at + int64(len(signature4))
	if version == 1 {
		next, first = next5, at+int64(len(signature5))
	}
	a := file{at: at, first: first, version: version, next: next}
	if seen := a.flags(w, s); seen != nil || w.Stopped() != nil {
		return seen, w.Stopped()
	}
	if seen := r.stored(ctx, w, s, first, next); seen != nil || w.Stopped() != nil {
		return seen, w.Stopped()
	}
	return a.packed(ctx, w, s)
}

type nextFunc func(w *walk.Walk, s *walk.Section, at int64) (block, bool)

// file locates an archive and holds what its headers say.
type file struct {
	at, first int64 // offsets of the signature and the first header
	version   byte  // 1 for RAR 5
	next      nextFunc
	main      int64 // end of the main header
	solid     bool
	any       bool // some members are compressed
}

// flags checks the headers for encryption.
func (a *file) flags(w *walk.Walk, s *walk.Section) *walk.Sighting {
	for at := a.first; ; {
		b, ok := a.next(w, s, at)
		// Archives of RAR 4 and older may lack an end record.
		if !ok && a.main > 0 && (a.version == 1 || at < s.Size) {
			w.Miss(walk.UnscannedCutOff, "rar: the archive has no end, or a damaged header")
		}
		if !ok || b.seen != nil || b.end {
			return b.seen
		}
		if b.main {
			a.main, a.solid = b.next, b.solid
		}
		if e := b.entry; e != nil && !e.directory {
			a.any = a.any || !e.stored
			switch {
			case e.split:
				w.Miss(walk.UnscannedSplit, "rar: a member goes on in another volume")
			case e.cut:
				w.Miss(walk.UnscannedCutOff, "rar: the archive ends within a member")
			}
		}
		at = b.next
	}
}

// stored inspects the members that are not compressed.
func (Detector) stored(ctx context.Context, w *walk.Walk, s *walk.Section, at int64, next nextFunc) *walk.Sighting {
	for {
		b, ok := next(w, s, at)
		if !ok || b.end || w.Stopped() != nil {
			return nil
		}
		at = b.next
		e := b.entry
		if e == nil || e.directory || !e.stored || e.split {
			continue
		}
		inner, err := w.Stored(s, e.at, e.packed)
		if err != nil || inner == nil {
			continue
		}
		if seen := w.Look(ctx, inner); seen != nil {
			return seen.Within("rar", e.name)
		}
	}
}

// next4 reads the header at offset at.
func next4(w *walk.Walk, s *walk.Section, at int64) (block, bool) {
	const fixed, large = 7, 32
	var h [large]byte
	if at < 0 || at+fixed > s.Size {
		return block{}, false
	}
	n := min(large, s.Size-at)
	if walk.ReadFull(s, h[:n], at) != nil {
		return block{}, false
	}
	kind, flags := h[2], binary.LittleEndian.Uint16(h[3:])
	size := int64(binary.LittleEndian.Uint16(h[5:]))
	if size < fixed {
		return block{}, false
	}
	b := block{next: at + size, end: kind == v4End}
	switch {
	case kind == v4Main:
		b.main, b.solid = true, flags&v4MainSolid != 0
		if flags&v4MainEncrypted != 0 {
			b.seen = walk.NewSighting(walk.FindingRAR, "rar", "", "headers encrypted, AES-128")
		}
	case kind == v4File || kind == v4Service:
		e, seen := readFile4(w, s, at, size)
		if e == nil {
			return block{}, false
		}
		b.next = e.at + e.packed
		if kind == v4File {
			b.entry, b.seen = e, seen
		}
	case flags&v4HasData != 0 && n >= 11:
		b.next += int64(binary.LittleEndian.Uint32(h[7:]))
	}
	return b, b.next > at
}

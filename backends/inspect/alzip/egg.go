// Package alzip recognises the archives of ALZip, EGG and the older ALZ, and inspects
// their stored members. In EGG an encryption header precedes an encrypted file
// (libclamav's egg.c); in ALZ bit 0 of the file descriptor is set (unalz). Neither has a
// Go library, and their headers are simple lists.
package alzip

import (
	"bytes"
	"context"
	"encoding/binary"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// EGG recognises EGG archives: a chain of headers, each with a magic number.
type EGG struct{}

// The magic numbers.
const (
	eggSignature = "EGGA"
	eggStart     = 14 // offset of the first header
	eggFile      = 0x0a8590e3
	eggBlock     = 0x02b50c13
	eggEncrypted = 0x08d1470f
	eggName      = 0x0a8591ac
	eggComment   = 0x04c63672
	eggWindows   = 0x2c86950b
	eggPosix     = 0x1ee922e5
	eggDummy     = 0x07463307
	eggSplit     = 0x24f5a262
	eggSolid     = 0x24e5a060
	eggEnd       = 0x08e28222
)

// eggMethods names the encryption methods.
var eggMethods = map[byte]string{0: "XOR", 1: "AES-128", 2: "AES-256", 0x10: "LEA-128", 0x20: "LEA-256"}

// Match implements [walk.Detector].
func (EGG) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(eggSignature+"\x00\x01"))
}

// Look implements [walk.Detector].
func (EGG) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const stored = 0
	name, method, data := "", byte(0), int64(0)
	for at := int64(eggStart); at+4 <= s.Size; {
		b := w.Header(min(32, s.Size-at))
		if err := walk.ReadFull(s, b, at); err != nil {
			return nil, err
		}
		switch magic := binary.LittleEndian.Uint32(b); magic {
		case eggEnd:
			m := archive.Member{Name: name, Offset: at + 4, Size: data}
			if seen, err := archive.LookStored(ctx, w, s, "egg", m, method == stored); seen != nil || err != nil {
				return seen, err
			}
			at += 4 + data
			data = 0
		case eggFile:
			at += 16
			name = ""
		case eggBlock:
			if len(b) < 18 {
				return nil, nil
			}
			method, data = b[4], int64(binary.LittleEndian.Uint32(b[10:]))
			at += 18
		case eggEncrypted, eggName, eggComment, eggWindows, eggPosix, eggDummy, eggSplit, eggSolid:
			body, size, ok := eggField(b)
			if !ok {
				return nil, nil
			}
			if magic == eggEncrypted && size > 0 && body < len(b) {
				how := eggMethods[b[body]]
				if how == "" {
					how = "encrypted"
				}
				return walk.NewSighting(walk.FindingEGG, "egg", name, how), nil
			}
			if magic == eggName && b[4]&0x1c == 0 { // UTF-8
				name = walk.ReadName(s, at+int64(body), size)
			}
			at += int64(body) + size
		case 0: // padding
			return nil, nil
		default:
			archive.Damaged(w, "egg")
			return nil, nil
		}
	}
	return nil, nil
}

// eggField locates the body of a field, whose flags give the width of the size.
func eggField(b []byte) (body int, size int64, ok bool) {
	switch {
	case len(b) < 7:
		return 0, 0, false
	case b[4]&1 == 0:
		return 7, int64(binary.LittleEndian.Uint16(b[5:])), true
	case len(b) < 9:
		return 0, 0, false
	}
	return 9, int64(binary.LittleEndian.Uint32(b[5:])), true
}

package rar

import (
	"encoding/binary"
	"hash/crc32"

	"polyclam/backends/inspect/internal/walk"
)

// The blocks of RAR 1.5 to 4 and their flags.
const (
	rar4Main    = 0x73
	rar4File    = 0x74
	rar4Service = 0x7a
	rar4End     = 0x7b

	rar4MainSolid     = 0x0008
	rar4MainEncrypted = 0x0080

	rar4FileBefore    = 0x0001 // continued from another volume
	rar4FileAfter     = 0x0002
	rar4FileEncrypted = 0x0004
	rar4FileComment   = 0x0008
	rar4FileSolid     = 0x0010
	rar4FileWindow    = 0x00e0 // all of it: a directory
	rar4FileLarge     = 0x0100

	rar4HasData = 0x8000

	rar4FileFixed = 32 // bytes before sizes of 64 bits, or the name
)

// readRAR4File reads the header of a member, size bytes at at. It returns nil for
// what is broken.
func readRAR4File(w *walk.Walk, s *walk.Section, at, size int64) (*rarEntry, *walk.Sighting) {
	if size < rar4FileFixed || at+size > s.Size {
		return nil, nil
	}
	h := w.Buffer(size)
	if walk.ReadFull(s, h, at) != nil {
		return nil, nil
	}
	e, ok := parseRAR4File(h)
	if !ok || e.packed < 0 {
		return nil, nil
	}
	e.at = at + size
	e.cut = e.packed > s.Size-e.at
	flags := binary.LittleEndian.Uint16(h[3:])
	if flags&rar4FileEncrypted == 0 {
		return e, nil
	}
	// The checksum is over the header without the comment in it, whose beginning
	// is not worth finding: only archives of RAR 1.5 and 2 have it.
	if flags&rar4FileComment == 0 && uint16(crc32.ChecksumIEEE(h[2:])) != binary.LittleEndian.Uint16(h) {
		return nil, nil
	}
	return e, walk.NewSighting(walk.FindingRAR, "rar", e.name, rar4Encryption(h[24]))
}

// parseRAR4File reads a header of rar4FileFixed bytes at least.
func parseRAR4File(h []byte) (*rarEntry, bool) {
	const stored, slowest = 0x30, 0x35
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	flags, method := binary.LittleEndian.Uint16(h[3:]), h[25]
	e := &rarEntry{
		packed: u32(7), unpacked: u32(11), version: h[24],
		stored:     method == stored,
		solid:      flags&rar4FileSolid != 0,
		split:      flags&(rar4FileBefore|rar4FileAfter) != 0,
		directory:  flags&rar4FileWindow == rar4FileWindow,
		dictionary: 0x10000 << (flags & rar4FileWindow >> 5),
	}
	name := rar4FileFixed
	if flags&rar4FileLarge != 0 {
		if name += 8; len(h) < name {
			return nil, false
		}
		e.packed |= u32(32) << 32
		e.unpacked |= u32(36) << 32
	}
	if e.unpacked == 1<<32-1 {
		e.unpacked = -1
	}
	end := name + int(binary.LittleEndian.Uint16(h[26:]))
	if end > len(h) || method < stored || method > slowest {
		return nil, false
	}
	e.name = rar4Name(h[name:end])
	return e, true
}

func rar4Encryption(version byte) string {
	switch {
	case version < 20:
		return "RAR 1.5 encryption"
	case version < 29:
		return "RAR 2.0 encryption"
	}
	return "AES-128"
}

// rar4Name is a name without the Unicode that follows it, packed, behind a NUL.
func rar4Name(name []byte) string {
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return string(name[:min(len(name), walk.MaxName)])
}

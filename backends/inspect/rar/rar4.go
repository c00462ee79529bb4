package rar

import (
	"encoding/binary"
	"hash/crc32"

	"polyclam/backends/inspect/internal/walk"
)

// The blocks of RAR 1.5 to 4 and their flags.
const (
	v4Main    = 0x73
	v4File    = 0x74
	v4Service = 0x7a
	v4End     = 0x7b

	v4MainSolid     = 0x0008
	v4MainEncrypted = 0x0080

	v4FileBefore    = 0x0001 // continued from another volume
	v4FileAfter     = 0x0002
	v4FileEncrypted = 0x0004
	v4FileComment   = 0x0008
	v4FileSolid     = 0x0010
	v4FileWindow    = 0x00e0 // dictionary size; all bits set: a directory
	v4FileLarge     = 0x0100

	v4HasData = 0x8000

	v4FileFixed = 32 // bytes before 64-bit sizes or the name
)

// readFile4 reads the file header of size bytes at offset at. It returns nil if the header
// is broken.
func readFile4(w *walk.Walk, s *walk.Section, at, size int64) (*entry, *walk.Sighting) {
	if size < v4FileFixed || at+size > s.Size {
		return nil, nil
	}
	h := w.Buffer(size)
	if walk.ReadFull(s, h, at) != nil {
		return nil, nil
	}
	e, ok := parseFile4(h)
	if !ok || e.packed < 0 {
		return nil, nil
	}
	e.at = at + size
	e.cut = e.packed > s.Size-e.at
	flags := binary.LittleEndian.Uint16(h[3:])
	if flags&v4FileEncrypted == 0 {
		return e, nil
	}
	// The checksum excludes a comment inside the header. Only RAR 1.5 and 2 write
	// such comments, so finding where they begin is not worth it.
	if flags&v4FileComment == 0 && uint16(crc32.ChecksumIEEE(h[2:])) != binary.LittleEndian.Uint16(h) {
		return nil, nil
	}
	return e, walk.NewSighting(walk.FindingRAR, "rar", e.name, encryption4(h[24]))
}

// parseFile4 parses a header of at least v4FileFixed bytes.
func parseFile4(h []byte) (*entry, bool) {
	const stored, slowest = 0x30, 0x35
	u32 := func(i int) int64 { return int64(binary.LittleEndian.Uint32(h[i:])) }
	flags, method := binary.LittleEndian.Uint16(h[3:]), h[25]
	e := &entry{
		packed: u32(7), unpacked: u32(11), version: h[24],
		stored:     method == stored,
		solid:      flags&v4FileSolid != 0,
		split:      flags&(v4FileBefore|v4FileAfter) != 0,
		directory:  flags&v4FileWindow == v4FileWindow,
		dictionary: 0x10000 << (flags & v4FileWindow >> 5),
	}
	name := v4FileFixed
	if flags&v4FileLarge != 0 {
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
	e.name = name4(h[name:end])
	return e, true
}

func encryption4(version byte) string {
	switch {
	case version < 20:
		return "RAR 1.5 encryption"
	case version < 29:
		return "RAR 2.0 encryption"
	}
	return "AES-128"
}

// name4 returns the name without the packed Unicode name that follows a NUL.
func name4(name []byte) string {
	for i, c := range name {
		if c == 0 {
			name = name[:i]
			break
		}
	}
	return string(name[:min(len(name), walk.MaxName)])
}

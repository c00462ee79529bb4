package build

import (
	"encoding/binary"
	"unicode/utf16"
)

// Stream is a stream of a compound file.
type Stream struct {
	Name string
	Data []byte
}

// oleBuilder builds a compound file: small streams in the mini stream, others in sectors,
// then the directory, and the FAT at the end.
type oleBuilder struct {
	shift   uint
	sectors []byte
	fat     []uint32
	mini    []byte
	minifat []uint32
	entries []byte
}

// OLE returns a compound file with sectors of 1 << shift bytes.
func OLE(shift uint, streams ...Stream) []byte {
	b := &oleBuilder{shift: shift}
	type place struct {
		start uint32
		size  int
	}
	var places []place
	for _, s := range streams {
		start := uint32(OLEEndChain)
		switch {
		case len(s.Data) >= 4096:
			start = b.chain(s.Data)
		case len(s.Data) > 0:
			start = b.miniChain(s.Data)
		}
		places = append(places, place{start, len(s.Data)})
	}
	root := b.chain(b.mini)
	right := func(i int) uint32 { // the tree degenerates to a list
		if i < len(streams) {
			return uint32(i + 1)
		}
		return 0xffffffff
	}
	b.entry("Root Entry", OLERoot, 0xffffffff, right(0), root, len(b.mini))
	for i, s := range streams {
		b.entry(s.Name, OLEStream, right(i+1), 0xffffffff, places[i].start, places[i].size)
	}
	directory := b.chain(b.entries)
	var minifat []byte
	for _, v := range b.minifat {
		minifat = binary.LittleEndian.AppendUint32(minifat, v)
	}
	return b.finish(directory, b.chain(minifat), len(minifat))
}

// chain appends data in new sectors and returns the first one.
func (b *oleBuilder) chain(data []byte) uint32 {
	if len(data) == 0 {
		return OLEEndChain
	}
	first := uint32(len(b.fat))
	size := 1 << b.shift
	for len(data) > 0 {
		n := min(size, len(data))
		sector := make([]byte, size)
		copy(sector, data[:n])
		b.sectors = append(b.sectors, sector...)
		data = data[n:]
		b.fat = append(b.fat, uint32(len(b.fat)+1))
	}
	b.fat[len(b.fat)-1] = OLEEndChain
	return first
}

func (b *oleBuilder) miniChain(data []byte) uint32 {
	first := uint32(len(b.minifat))
	for len(data) > 0 {
		n := min(64, len(data))
		sector := make([]byte, 64)
		copy(sector, data[:n])
		b.mini = append(b.mini, sector...)
		data = data[n:]
		b.minifat = append(b.minifat, uint32(len(b.minifat)+1))
	}
	b.minifat[len(b.minifat)-1] = OLEEndChain
	return first
}

func (b *oleBuilder) entry(name string, kind byte, right, child, start uint32, size int) {
	var e [128]byte
	units := utf16.Encode([]rune(name))
	for i, u := range units {
		binary.LittleEndian.PutUint16(e[2*i:], u)
	}
	binary.LittleEndian.PutUint16(e[64:], uint16(2*len(units)+2))
	e[66], e[67] = kind, 1
	binary.LittleEndian.PutUint32(e[68:], 0xffffffff)
	binary.LittleEndian.PutUint32(e[72:], right)
	binary.LittleEndian.PutUint32(e[76:], child)
	if kind == OLERoot {
		binary.LittleEndian.PutUint32(e[72:], 0xffffffff)
		binary.LittleEndian.PutUint32(e[76:], child)
	}
	binary.LittleEndian.PutUint32(e[116:], start)
	binary.LittleEndian.PutUint64(e[120:], uint64(size))
	b.entries = append(b.entries, e[:]...)
}

// finish returns the file: the header, the sectors, the FAT, and the lists of the FAT's
// sectors that do not fit in the header.
func (b *oleBuilder) finish(directory, minifat uint32, miniSize int) []byte {
	tables, lists := b.tables()
	out := b.header(tables, lists, directory, minifat, miniSize)
	out = append(out, b.sectors...)
	fat := b.fat
	for range tables {
		fat = append(fat, oleTable)
	}
	for range lists {
		fat = append(fat, oleList)
	}
	for len(fat) < tables*b.perSector() {
		fat = append(fat, oleFree)
	}
	for _, v := range fat {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return b.appendLists(out, tables, lists)
}

// Special values in a FAT, and how many sectors of it the header lists.
const (
	oleFree     = 0xffffffff
	oleTable    = 0xfffffffd
	oleList     = 0xfffffffc
	oleInHeader = 109
)

func (b *oleBuilder) perSector() int { return 1 << b.shift / 4 }

// tables returns how many sectors the FAT takes, and how many the lists of them. Both
// are in the FAT themselves.
func (b *oleBuilder) tables() (tables, lists int) {
	per := b.perSector()
	for {
		total := len(b.fat) + tables + lists
		needTables := (total + per - 1) / per
		needLists := max(0, needTables-oleInHeader+per-2) / (per - 1)
		if needTables == tables && needLists == lists {
			return tables, lists
		}
		tables, lists = needTables, needLists
	}
}

// table returns the sector of part n of the FAT, or oleFree if there are not so many.
func (b *oleBuilder) table(n, tables int) uint32 {
	if n >= tables {
		return oleFree
	}
	return uint32(len(b.fat) + n)
}

func (b *oleBuilder) header(tables, lists int, directory, minifat uint32, miniSize int) []byte {
	size := 1 << b.shift
	out := make([]byte, size)
	put16 := func(i int, v uint16) { binary.LittleEndian.PutUint16(out[i:], v) }
	put := func(i int, v uint32) { binary.LittleEndian.PutUint32(out[i:], v) }
	copy(out, OLESignature)
	version := uint16(3)
	if b.shift == 12 {
		version = 4
	}
	put16(24, 0x3e)
	put16(26, version)
	put16(28, 0xfffe)
	put16(30, uint16(b.shift))
	put16(32, OLEMiniShift)
	put(44, uint32(tables))
	put(48, directory)
	put(56, 4096)
	put(60, minifat)
	put(64, uint32((miniSize+size-1)/size))
	put(68, OLEEndChain)
	put(72, uint32(lists))
	if lists > 0 {
		put(68, uint32(len(b.fat)+tables))
	}
	for i := range oleInHeader {
		put(76+4*i, b.table(i, tables))
	}
	return out
}

// appendLists appends the lists of the FAT's sectors that are not in the header.
func (b *oleBuilder) appendLists(out []byte, tables, lists int) []byte {
	next := oleInHeader
	for l := range lists {
		for range b.perSector() - 1 {
			out = binary.LittleEndian.AppendUint32(out, b.table(next, tables))
			next++
		}
		following := uint32(OLEEndChain)
		if l+1 < lists {
			following = uint32(len(b.fat) + tables + l + 1)
		}
		out = binary.LittleEndian.AppendUint32(out, following)
	}
	return out
}

// WordStream returns a FIB with these flags, padded to size bytes.
func WordStream(magic, flags uint16, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint16(b, magic)
	binary.LittleEndian.PutUint16(b[2:], 0xc1)
	binary.LittleEndian.PutUint16(b[10:], flags)
	return b
}

// BIFF returns a stream of Excel records.
func BIFF(records ...string) []byte {
	var b []byte
	for _, r := range records {
		b = append(b, r[:2]...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(r)-2))
		b = append(b, r[2:]...)
	}
	return append(b, make([]byte, 100)...)
}

// CurrentUser returns a CurrentUserAtom with this token.
func CurrentUser(token uint32) []byte {
	b := []byte{0, 0, 0xf6, 0x0f, 0x1c, 0, 0, 0, 0x14, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, token)
	return append(b, make([]byte, 20)...)
}

package build

import (
	"encoding/binary"
	"unicode/utf16"
)

// Stream is a stream of a compound file to make.
type Stream struct {
	Name string
	Data []byte
}

// oleBuilder makes compound files: small streams in the mini stream, all others
// in sectors, the directory, the tables after everything.
type oleBuilder struct {
	shift   uint
	sectors []byte
	fat     []uint32
	mini    []byte
	minifat []uint32
	entries []byte
}

// OLE makes a compound file with sectors of 1 << shift bytes.
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
	right := func(i int) uint32 { // a list to the right
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

// chain appends data in new sectors and returns the first.
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

// finish appends the table, and more lists of its sectors if it is long.
func (b *oleBuilder) finish(directory, minifat uint32, miniSize int) []byte {
	size := 1 << b.shift
	per := size / 4
	tables, lists := 0, 0
	for {
		total := len(b.fat) + tables + lists
		needTables := (total + per - 1) / per
		needLists := max(0, needTables-109+per-2) / (per - 1)
		if needTables == tables && needLists == lists {
			break
		}
		tables, lists = needTables, needLists
	}
	first := uint32(len(b.fat))
	fat := b.fat
	for range tables {
		fat = append(fat, 0xfffffffd)
	}
	for range lists {
		fat = append(fat, 0xfffffffc)
	}
	for len(fat) < tables*per {
		fat = append(fat, 0xffffffff)
	}
	out := make([]byte, size)
	put := func(i int, v uint32) { binary.LittleEndian.PutUint32(out[i:], v) }
	copy(out, OLESignature)
	version := uint16(3)
	if b.shift == 12 {
		version = 4
	}
	binary.LittleEndian.PutUint16(out[24:], 0x3e)
	binary.LittleEndian.PutUint16(out[26:], version)
	binary.LittleEndian.PutUint16(out[28:], 0xfffe)
	binary.LittleEndian.PutUint16(out[30:], uint16(b.shift))
	binary.LittleEndian.PutUint16(out[32:], OLEMiniShift)
	put(44, uint32(tables))
	put(48, directory)
	put(56, 4096)
	put(60, minifat)
	put(64, uint32((miniSize+size-1)/size))
	put(68, OLEEndChain)
	put(72, uint32(lists))
	if lists > 0 {
		put(68, first+uint32(tables))
	}
	for i := range 109 {
		v := uint32(0xffffffff)
		if i < tables {
			v = first + uint32(i)
		}
		put(76+4*i, v)
	}
	out = append(out, b.sectors...)
	for _, v := range fat {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	for l, next := 0, 109; l < lists; l++ {
		for range per - 1 {
			v := uint32(0xffffffff)
			if next < tables {
				v = first + uint32(next)
			}
			next++
			out = binary.LittleEndian.AppendUint32(out, v)
		}
		v := uint32(OLEEndChain)
		if l+1 < lists {
			v = first + uint32(tables+l+1)
		}
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	return out
}

// WordStream is a FIB with these flags, of size bytes.
func WordStream(magic, flags uint16, size int) []byte {
	b := make([]byte, size)
	binary.LittleEndian.PutUint16(b, magic)
	binary.LittleEndian.PutUint16(b[2:], 0xc1)
	binary.LittleEndian.PutUint16(b[10:], flags)
	return b
}

// BIFF is a stream of Excel's records.
func BIFF(records ...string) []byte {
	var b []byte
	for _, r := range records {
		b = append(b, r[:2]...)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(r)-2))
		b = append(b, r[2:]...)
	}
	return append(b, make([]byte, 100)...)
}

// CurrentUser is a CurrentUserAtom with this token.
func CurrentUser(token uint32) []byte {
	b := []byte{0, 0, 0xf6, 0x0f, 0x1c, 0, 0, 0, 0x14, 0, 0, 0}
	b = binary.LittleEndian.AppendUint32(b, token)
	return append(b, make([]byte, 20)...)
}

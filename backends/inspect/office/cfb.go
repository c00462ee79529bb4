package office

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// file reads a compound file ([MS-CFB]): the directory as a list, and streams from their
// start; nothing else is needed. The mscfb library is not used because it keeps the full
// path of each entry: a chain of 20,000 nested directories takes gigabytes.
type file struct {
	section *walk.Section
	shift   uint     // log2 of the sector size
	fat     []uint32 // sectors of the FAT
	first   uint32   // first sector of the directory
	cutoff  int64    // streams smaller than this are in the mini stream
	minis   []uint32 // sectors of the mini FAT
	mini    []uint32 // sectors of the mini stream

	cached int // which FAT sector cache holds, or -1
	cache  []byte

	cut    bool // something lies beyond the end of the file
	short  bool // the last sector is incomplete
	broken bool // a chain leads nowhere
}

// entry is a directory entry.
type entry struct {
	name  string
	kind  byte
	start uint32
	size  int64
}

const (
	headerSize = 512
	maxSector  = 0xfffffffa
	endChain   = 0xfffffffe
	miniShift  = 6
	stream     = 2
	root       = 5
)

var errBroken = errors.New("broken compound file")

// openFile reads the header and the tables that lead to the streams.
func openFile(w *walk.Walk, s *walk.Section) (*file, error) {
	var h [headerSize]byte
	if err := walk.ReadFull(s, h[:min(headerSize, s.Size)], 0); err != nil || s.Size < headerSize {
		return nil, errBroken
	}
	u32 := func(i int) uint32 { return binary.LittleEndian.Uint32(h[i:]) }
	f := &file{section: s, shift: uint(h[30]), first: u32(48), cutoff: int64(u32(56)), cached: -1}
	if f.shift != 9 && f.shift != 12 || h[31] != 0 {
		return nil, errBroken
	}
	// All tables take 4 bytes per sector, and list no sector twice.
	for i := range 109 {
		f.fat = append(f.fat, u32(76+4*i))
	}
	// Continue after errors: Office does not need every table either.
	f.readMore(u32(68))
	f.cache = make([]byte, 1<<f.shift)
	f.minis = f.list(u32(60))
	f.entries(func(e entry) *walk.Sighting {
		if e.kind == root && f.mini == nil {
			f.mini = f.list(e.start)
		}
		return nil
	})
	return f, nil
}

// fail records that part of the file cannot be located.
func (f *file) fail() error {
	f.broken = true
	return errBroken
}

// missed reports what could not be read.
func (f *file) missed(w *walk.Walk) {
	switch {
	case f.cut, f.short && f.broken:
		w.Miss(walk.UnscannedCutOff, "ole2: the file ends before its streams")
	case f.broken:
		w.Miss(walk.UnscannedBroken, "ole2: a chain of sectors is broken")
	}
}

// sectors returns the maximum number of sectors in the file.
func (f *file) sectors() int64 { return f.section.Size >> f.shift }

func (f *file) offset(sector uint32) int64 { return (int64(sector) + 1) << f.shift }

// readMore reads the list of FAT sectors beyond the first 109.
func (f *file) readMore(sector uint32) {
	size := 1 << f.shift
	b := make([]byte, size)
	for n := int64(0); sector < maxSector; n++ {
		if n > f.sectors()*4/int64(size)+1 {
			f.fail()
			return
		}
		if f.read(b, f.offset(sector)) != nil {
			return
		}
		for i := 0; i < size-4; i += 4 {
			f.fat = append(f.fat, binary.LittleEndian.Uint32(b[i:]))
		}
		sector = binary.LittleEndian.Uint32(b[size-4:])
	}
}

// next returns the sector that follows in a chain.
func (f *file) next(sector uint32) (uint32, error) {
	bits := f.shift - 2
	part := int(sector >> bits)
	if part >= len(f.fat) || f.fat[part] >= maxSector {
		return 0, f.fail()
	}
	if f.cached != part {
		f.cached = -1
		if err := f.read(f.cache, f.offset(f.fat[part])); err != nil {
			return 0, err
		}
		f.cached = part
	}
	return binary.LittleEndian.Uint32(f.cache[4*(sector&(1<<bits-1)):]), nil
}

// read reads b, padding with zeros at the end of a truncated file.
func (f *file) read(b []byte, at int64) error {
	if at >= f.section.Size {
		f.cut = true
		return errBroken
	}
	n := min(int64(len(b)), f.section.Size-at)
	clear(b[n:])
	f.short = f.short || n < int64(len(b))
	return walk.ReadFull(f.section, b[:n], at)
}

// list returns the sectors of a chain, as far as it can be followed.
func (f *file) list(sector uint32) (l []uint32) {
	for sector < maxSector {
		if int64(len(l)) > f.sectors() {
			f.fail() // a cycle
			return l
		}
		l = append(l, sector)
		var err error
		if sector, err = f.next(sector); err != nil {
			return l
		}
	}
	return l
}

// entries calls visit for each directory entry until it returns a sighting.
func (f *file) entries(visit func(e entry) *walk.Sighting) (*walk.Sighting, error) {
	const size = 128
	sector := f.first
	for n := int64(0); sector < maxSector; n++ {
		if n > f.sectors() {
			return nil, f.fail()
		}
		for at := f.offset(sector); at < f.offset(sector+1); at += size {
			var b [size]byte
			if err := f.read(b[:], at); err != nil {
				return nil, err
			}
			e, ok := f.entry(b[:])
			if !ok {
				continue
			}
			if seen := visit(e); seen != nil {
				return seen, nil
			}
		}
		var err error
		if sector, err = f.next(sector); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (f *file) entry(b []byte) (entry, bool) {
	length := int(binary.LittleEndian.Uint16(b[64:]))
	e := entry{kind: b[66], start: binary.LittleEndian.Uint32(b[116:])}
	if e.kind != stream && e.kind != root || length < 2 || length > 64 {
		return entry{}, false
	}
	e.name = walk.UTF16Name(b[:length-2])
	e.size = int64(binary.LittleEndian.Uint32(b[120:]))
	if f.shift == 12 {
		// The high half is garbage in files with small sectors.
		e.size |= int64(binary.LittleEndian.Uint32(b[124:])&0x7fffffff) << 32
	}
	return e, true
}

// find returns the stream with this name.
func (f *file) find(name string) (entry, error) {
	var found entry
	seen, err := f.entries(func(e entry) *walk.Sighting {
		if e.kind != stream || !strings.EqualFold(e.name, name) {
			return nil
		}
		found = e
		return &walk.Sighting{}
	})
	if seen == nil && err == nil {
		err = errBroken
	}
	return found, err
}

// open returns a reader of a stream.
func (f *file) open(e entry) io.Reader {
	return &reader{file: f, mini: e.size < f.cutoff, sector: e.start, left: min(e.size, f.section.Size)}
}

// reader reads a stream.
type reader struct {
	file   *file
	mini   bool
	sector uint32
	within int64 // offset in the sector
	left   int64
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	at, size, err := r.place()
	if err != nil {
		return 0, err
	}
	n := min(int64(len(p)), size-r.within, r.left)
	if err := r.file.read(p[:n], at+r.within); err != nil {
		return 0, err
	}
	r.left -= n
	if r.within += n; r.within == size && r.left > 0 {
		r.within = 0
		err = r.step()
	}
	return int(n), err
}

// place locates the current sector in the file.
func (r *reader) place() (at, size int64, err error) {
	f := r.file
	if r.sector >= maxSector {
		return 0, 0, f.fail()
	}
	if !r.mini {
		return f.offset(r.sector), 1 << f.shift, nil
	}
	bits := f.shift - miniShift
	i := int(r.sector >> bits)
	if i >= len(f.mini) {
		return 0, 0, f.fail()
	}
	within := int64(r.sector&(1<<bits-1)) << miniShift
	return f.offset(f.mini[i]) + within, 1 << miniShift, nil
}

// step advances to the next sector.
func (r *reader) step() (err error) {
	f := r.file
	if !r.mini {
		r.sector, err = f.next(r.sector)
		return err
	}
	bits := f.shift - 2
	i := int(r.sector >> bits)
	if i >= len(f.minis) {
		return f.fail()
	}
	var b [4]byte
	err = f.read(b[:], f.offset(f.minis[i])+4*int64(r.sector&(1<<bits-1)))
	r.sector = binary.LittleEndian.Uint32(b[:])
	return err
}

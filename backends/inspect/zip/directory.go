package zip

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"

	"polyclam/backends/inspect/internal/walk"
)

// The sizes of the records' fixed parts.
const (
	localSize       = 30
	centralSize     = 46
	endSize         = 22
	end64Size       = 56
	end64LocateSize = 20
	maxEnd          = endSize + math.MaxUint16 // including the longest comment
)

// maxName is how much of a member's name is kept.
const maxName = walk.MaxName

// maxEnds is how many possible end records are tried, from the last backwards, until one
// leads to a directory. A comment may contain the bytes of an end record.
const maxEnds = 4

// directory locates a central directory.
type directory struct {
	start int64
	limit int64  // latest possible end
	base  int64  // offset that member offsets count from
	disk  uint16 // number of this part of a split archive
}

// elsewhere reports whether a member is in another part of a split archive.
func (d directory) elsewhere(e *entry) bool { return e.disk < d.disk && d.disk != math.MaxUint16 }

var errFormat = errors.New("not a zip")

// directories finds the central directories of an archive, normally one. There are more if
// an end record is ambiguous, or inside the comment of another one: some programs use the
// last record, others the one whose comment ends with the file.
func directories(w *walk.Walk, s *walk.Section) ([]directory, error) {
	ends, err := findEnds(w, s)
	var dirs []directory
	for _, end := range ends {
		if len(dirs) == 0 || hasComment(s, end) {
			dirs = append(dirs, directoriesAt(s, end)...)
		}
	}
	return dirs, err
}

// hasComment reports whether the end record at offset end is followed by exactly its
// comment.
func hasComment(s *walk.Section, end int64) bool {
	var b [2]byte
	return walk.ReadFull(s, b[:], end+endSize-2) == nil && end+endSize+int64(binary.LittleEndian.Uint16(b[:])) == s.Size
}

// findEnds finds possible end records, the last first.
func findEnds(w *walk.Walk, s *walk.Section) ([]int64, error) {
	var ends []int64
	for _, n := range []int64{walk.HeadSize, maxEnd} {
		tail, err := w.End(s, n)
		if err != nil {
			return nil, err
		}
		for rest := tail; len(ends) < maxEnds; {
			i := bytes.LastIndex(rest, []byte(endRecord))
			if i < 0 {
				break
			}
			if i+endSize <= len(tail) {
				ends = append(ends, s.Size-int64(len(tail)-i))
			}
			rest = rest[:i]
		}
		if len(ends) > 0 || n >= s.Size {
			return ends, nil
		}
	}
	return ends, nil
}

// directoriesAt reads the end record at offset end and finds its directory. The directory
// can be located by its offset from the start or by its size from the end. Both differ if
// something precedes the archive, or is meant to hide it.
func directoriesAt(s *walk.Section, end int64) []directory {
	var h [endSize]byte
	if walk.ReadFull(s, h[:], end) != nil {
		return nil
	}
	size := uint64(binary.LittleEndian.Uint32(h[12:]))
	offset := uint64(binary.LittleEndian.Uint32(h[16:]))
	limit := end
	if size == math.MaxUint32 || offset == math.MaxUint32 || binary.LittleEndian.Uint16(h[10:]) == math.MaxUint16 {
		if e, ok := readEnd64(s, end); ok {
			size, offset, limit = e.size, e.offset, e.at
		}
	}
	disk := binary.LittleEndian.Uint16(h[4:])
	var dirs []directory
	if size <= uint64(limit) {
		start := limit - int64(size)
		if isCentral(s, start) {
			dirs = append(dirs, directory{start, limit, start - int64(offset), disk})
		}
	}
	if offset < uint64(limit) && (len(dirs) == 0 || dirs[0].start != int64(offset)) {
		if isCentral(s, int64(offset)) {
			dirs = append(dirs, directory{int64(offset), limit, 0, disk})
		}
	}
	return dirs
}

type end64Record struct {
	size, offset uint64
	at           int64
}

// readEnd64 reads the ZIP64 end record, which the locator before the plain one points to.
func readEnd64(s *walk.Section, end int64) (end64Record, bool) {
	var l [end64LocateSize]byte
	if end < end64LocateSize || walk.ReadFull(s, l[:], end-end64LocateSize) != nil || string(l[:4]) != end64Locate {
		return end64Record{}, false
	}
	// Where the locator says, or directly before it if something precedes
	// the archive.
	for _, at := range []uint64{binary.LittleEndian.Uint64(l[8:]), uint64(end - end64LocateSize - end64Size)} {
		var h [end64Size]byte
		if at > uint64(end) || walk.ReadFull(s, h[:], int64(at)) != nil || string(h[:4]) != end64 {
			continue
		}
		return end64Record{binary.LittleEndian.Uint64(h[40:]), binary.LittleEndian.Uint64(h[48:]), int64(at)}, true
	}
	return end64Record{}, false
}

func isCentral(s *walk.Section, at int64) bool {
	var h [4]byte
	return at >= 0 && at <= s.Size-centralSize && walk.ReadFull(s, h[:], at) == nil && string(h[:]) == central
}

// entryReader reads the records of a central directory one at a time, into the same entry.
type entryReader struct {
	r     *bufio.Reader
	entry entry
	// Read buffers, to avoid allocating them for each record.
	fixed  [centralSize]byte
	field  [4]byte
	values [24]byte
	names  [maxName]byte
}

// entry is a record of a central directory.
type entry struct {
	flags, method, disk      uint16
	packed, unpacked, offset uint64
	name                     []byte // raw and truncated; valid until the next record
	slash                    bool   // the untruncated name ends in a slash
}

func (e *entry) isDirectory() bool { return e.slash }

func (d directory) reader(s *walk.Section) *entryReader {
	return &entryReader{r: bufio.NewReader(io.NewSectionReader(s, d.start, d.limit-d.start))}
}

// next returns the next record, or io.EOF at the end of the directory. If a record is
// broken after its flags, it is returned together with the error. Records are not counted:
// the count in the end record has only 16 bits and may be a lie.
func (z *entryReader) next() (*entry, error) {
	h := z.fixed[:]
	if n, err := io.ReadFull(z.r, h); err != nil && n < 4 {
		return nil, err
	}
	switch string(h[:4]) {
	case central:
	case "PK\x05\x05", "PK\x06\x08", endRecord, end64, end64Locate:
		return nil, io.EOF // for example a digital signature
	default:
		return nil, errFormat
	}
	u16 := func(i int) int { return int(binary.LittleEndian.Uint16(h[i:])) }
	u32 := func(i int) uint64 { return uint64(binary.LittleEndian.Uint32(h[i:])) }
	z.entry = entry{flags: uint16(u16(8)), method: uint16(u16(10)), disk: uint16(u16(34)), packed: u32(20), unpacked: u32(24), offset: u32(42)}
	if err := z.name(u16(28)); err != nil {
		return &z.entry, err
	}
	if err := z.extra(u16(30)); err != nil {
		return &z.entry, err
	}
	_, err := z.r.Discard(u16(32))
	return &z.entry, noEOF(err)
}

func (z *entryReader) name(length int) error {
	kept := z.names[:min(length, maxName)]
	n, err := io.ReadFull(z.r, kept)
	z.entry.name = kept[:n]
	if err != nil {
		return noEOF(err)
	}
	last := byte(0)
	if len(kept) > 0 {
		last = kept[len(kept)-1]
	}
	if rest := length - len(kept); rest > 0 {
		if _, err := z.r.Discard(rest - 1); err != nil {
			return noEOF(err)
		}
		var err error
		if last, err = z.r.ReadByte(); err != nil {
			return noEOF(err)
		}
	}
	z.entry.slash = last == '/'
	return nil
}

// extra reads ZIP64 sizes, if present (4.5.3).
func (z *entryReader) extra(length int) error {
	for length >= 4 {
		if _, err := io.ReadFull(z.r, z.field[:]); err != nil {
			return noEOF(err)
		}
		size := int(binary.LittleEndian.Uint16(z.field[2:]))
		length -= 4
		if size > length {
			break
		}
		length -= size
		n := 0
		if binary.LittleEndian.Uint16(z.field[:]) == 1 {
			n = min(size, len(z.values))
			if _, err := io.ReadFull(z.r, z.values[:n]); err != nil {
				return noEOF(err)
			}
			z.entry.enlarge(z.values[:n])
		}
		if _, err := z.r.Discard(size - n); err != nil {
			return noEOF(err)
		}
	}
	_, err := z.r.Discard(length)
	return noEOF(err)
}

// enlarge replaces the values that do not fit in the record.
func (e *entry) enlarge(field []byte) {
	for _, v := range []*uint64{&e.unpacked, &e.packed, &e.offset} {
		if *v == math.MaxUint32 && len(field) >= 8 {
			*v = binary.LittleEndian.Uint64(field)
			field = field[8:]
		}
	}
}

// noEOF is for reads within a record, where a directory must not end.
func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

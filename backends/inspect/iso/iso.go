// Package iso reads disc images: ISO 9660 (ECMA-119) with the Joliet and Rock Ridge
// extensions, and UDF (ECMA-167) on a plain partition, also with raw sectors. The
// formats have no encryption; only files are inspected.
//
// Existing libraries read whole directories into memory, follow directories that contain
// themselves, or are meant for writing images.
package iso

import (
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/archive"
)

const (
	sectorSize = 2048
	// SystemArea is the space before the first volume descriptor.
	SystemArea = 16 * sectorSize
	// maxVolumes bounds the volume descriptors of an image.
	maxVolumes = 64
	// maxExtents bounds the extents of one file. In real images each has 4 GiB.
	maxExtents = 256
)

var (
	errDamaged     = errors.New("damaged directory")
	errInterleaved = archive.MethodError("interleaved, which is not supported")
	errPacked      = archive.MethodError("compressed by zisofs, which is not supported")
	errVolumes     = errors.New("too many volumes")
	errExtents     = errors.New("too many extents")
)

// zisofs begins a file compressed by mkzftree.
const zisofs = "\x37\xe4\x53\x96\xc9\xdb\xd6\x07"

// Matches reports whether r has a volume descriptor where ISO 9660 and UDF have their first
// one.
func Matches(r io.ReaderAt) bool {
	return matches(r) || matches(newRaw(r))
}

func matches(r io.ReaderAt) bool {
	var b [6]byte
	if archive.ReadFull(r, b[:], SystemArea) != nil {
		return false
	}
	switch string(b[1:]) {
	case "CD001", "BEA01", "NSR02", "NSR03", "BOOT2", "CDW02":
		return true
	}
	return false
}

// extent locates a file or directory, or part of one.
type extent struct{ at, size int64 }

// volume is a directory tree.
type volume struct {
	joliet bool
	block  int64 // size of a logical block
	root   extent
}

// image is the state while iterating over an image.
type image struct {
	r     io.ReaderAt
	size  int64
	yield func(archive.Member, error) bool
	seen  map[extent]bool // files and directories visited
}

// Members iterates over an image of size bytes. Directories are members without data.
func Members(r io.ReaderAt, size int64) archive.Members {
	if raw := newRaw(r); raw.data != 0 && !matches(r) {
		return raw.members(size)
	}
	return func(yield func(archive.Member, error) bool) {
		volumes, udf, err := descriptors(r)
		if err != nil && !yield(archive.Member{}, err) {
			return
		}
		i := &image{r: r, size: size, yield: yield, seen: make(map[extent]bool)}
		for _, v := range volumes {
			if !i.walk(v) {
				return
			}
		}
		if udf {
			i.walkUDF()
		}
	}
}

// descriptors returns the volumes, those with the best names first, and whether the image
// also has a UDF file system.
func descriptors(r io.ReaderAt) (volumes []volume, udf bool, err error) {
	const boot, primary, supplementary = 0, 1, 2
	var others []volume
	for n := range int64(maxVolumes) {
		var b [sectorSize]byte
		d, err := archive.Prefix(r, b[:], SystemArea+n*sectorSize)
		if err != nil {
			return nil, false, err
		}
		if len(d) < sectorSize {
			return append(volumes, others...), udf, nil
		}
		switch id := string(d[1:6]); {
		case id == "NSR02", id == "NSR03":
			udf = true
		case id == "BEA01", id == "TEA01", id == "BOOT2", id == "CDW02":
		case id != "CD001":
			return append(volumes, others...), udf, nil
		case d[0] == supplementary && strings.HasPrefix(string(d[88:]), "%/"):
			volumes = append(volumes, newVolume(d, true))
		case d[0] == primary, d[0] == supplementary:
			others = append(others, newVolume(d, false))
		}
	}
	return append(volumes, others...), udf, errVolumes
}

func newVolume(d []byte, joliet bool) volume {
	v := volume{joliet: joliet, block: int64(binary.LittleEndian.Uint16(d[128:]))}
	if v.block != 512 && v.block != 1024 {
		v.block = sectorSize
	}
	v.root, _ = v.extent(d[156:])
	return v
}

// extent returns the extent of a directory record.
func (v *volume) extent(record []byte) (e extent, interleaved bool) {
	at := int64(binary.LittleEndian.Uint32(record[2:])) + int64(record[1]) // after the extended attributes
	return extent{at * v.block, int64(binary.LittleEndian.Uint32(record[10:]))}, record[26] != 0 || record[27] != 0
}

// directory is a directory that remains to be read.
type directory struct {
	extent
	path string
}

// walk iterates over a volume. It reports whether to continue.
func (i *image) walk(v volume) bool {
	for todo := []directory{{extent: v.root}}; len(todo) > 0; {
		last := len(todo) - 1
		d := todo[last]
		todo = todo[:last]
		if d.size == 0 || i.seen[d.extent] {
			continue
		}
		i.seen[d.extent] = true
		w := &reader{image: i, volume: &v, directory: d}
		if !w.read() {
			return false
		}
		todo = append(todo, w.found...)
	}
	return true
}

// reader reads one directory.
type reader struct {
	*image
	volume    *volume
	directory directory
	found     []directory
	extents   []extent // collected for a file in several extents
	dropped   bool     // there are too many extents
}

// read yields the files of the directory. It reports whether to continue.
func (w *reader) read() bool {
	var sector [sectorSize]byte
	d := w.directory
	for at := int64(0); at < d.size; at += sectorSize {
		b := sector[:min(sectorSize, d.size-at)]
		if err := archive.ReadFull(w.r, b, d.at+at); err != nil {
			return w.yield(archive.Member{Name: d.path}, err) && errors.Is(err, archive.ErrCutOff)
		}
		for len(b) > 0 && b[0] != 0 {
			n := int(b[0])
			if n > len(b) || n < 34 || 33+int(b[32]) > n {
				if !w.yield(archive.Member{Name: d.path}, errDamaged) {
					return false
				}
				break
			}
			if !w.record(b[:n]) {
				return false
			}
			b = b[n:]
		}
	}
	if len(w.extents) > 0 {
		// The last of a file's extents is missing.
		return w.file(d.path, w.extents) && w.yield(archive.Member{Name: d.path}, errDamaged)
	}
	return true
}

// record handles a directory record. It reports whether to continue.
func (w *reader) record(b []byte) bool {
	const isDirectory, more = 0x02, 0x80
	raw := b[33 : 33+int(b[32])]
	if len(raw) == 1 && raw[0] <= 1 {
		return true // the directory itself and its parent
	}
	path := w.path(b, raw)
	e, interleaved := w.volume.extent(b)
	switch {
	case interleaved:
		return w.yield(archive.Member{Name: path}, errInterleaved)
	case b[25]&isDirectory != 0:
		w.found = append(w.found, directory{e, path})
		return w.yield(archive.Member{Name: path}, nil)
	}
	if len(w.extents) == maxExtents {
		w.extents, w.dropped = w.extents[:0], true
	}
	w.extents = append(w.extents, e)
	if b[25]&more != 0 {
		return true
	}
	extents, dropped := w.extents, w.dropped
	w.extents, w.dropped = nil, false
	if dropped {
		return w.yield(archive.Member{Name: path}, errExtents)
	}
	return w.file(path, extents)
}

// file yields a file, unless it was already yielded under another name.
func (w *reader) file(path string, extents []extent) bool {
	m := archive.Member{Name: path, Offset: extents[0].at}
	oneBlock := true
	for n, e := range extents {
		if e.size > w.size-e.at {
			return w.cutOff(path, e)
		}
		oneBlock = oneBlock && (n == 0 || e.at == m.Offset+m.Size)
		m.Size += e.size
	}
	if key := (extent{m.Offset, m.Size}); oneBlock && m.Size > 0 {
		if w.seen[key] {
			return true
		}
		w.seen[key] = true
	}
	if !oneBlock {
		var parts []io.Reader
		for _, e := range extents {
			parts = append(parts, io.NewSectionReader(w.r, e.at, e.size))
		}
		m.Offset, m.Data = 0, io.MultiReader(parts...)
	}
	return w.yield(m, nil) && w.packed(path, extents[0])
}

// cutOff yields the existing part of a file that extends beyond the image.
func (i *image) cutOff(path string, e extent) bool {
	if e.at < i.size && !i.yield(archive.Member{Name: path, Offset: e.at, Size: e.size}, nil) {
		return false
	}
	return i.yield(archive.Member{Name: path}, archive.ErrCutOff)
}

// packed reports a file compressed by zisofs as unsupported.
func (w *reader) packed(path string, e extent) bool {
	var b [len(zisofs)]byte
	if e.size < int64(len(b)) || archive.ReadFull(w.r, b[:], e.at) != nil || string(b[:]) != zisofs {
		return true
	}
	return w.yield(archive.Member{Name: path}, errPacked)
}

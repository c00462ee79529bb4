package iso

import (
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	rawSize = 2352
	// sync begins each raw sector.
	sync = "\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00"
)

// raw reads the user data of an image whose sectors include headers and error correction.
type raw struct {
	from io.ReaderAt
	data int64 // offset of the data in a sector; 0 if the sectors are not raw
}

// newRaw examines the first sector.
func newRaw(r io.ReaderAt) raw {
	var h [16]byte
	if archive.ReadFull(r, h[:], 0) != nil || string(h[:len(sync)]) != sync {
		return raw{from: r}
	}
	switch h[15] {
	case 1:
		return raw{r, 16}
	case 2:
		return raw{r, 24}
	}
	return raw{from: r}
}

// ReadAt implements [io.ReaderAt].
func (w raw) ReadAt(p []byte, off int64) (n int, err error) {
	if w.data == 0 || off < 0 || off > 1<<60 {
		return 0, io.EOF
	}
	for n < len(p) && err == nil {
		sector, in := off/sectorSize, off%sectorSize
		part := p[n:min(len(p), n+int(sectorSize-in))]
		var got int
		got, err = w.from.ReadAt(part, sector*rawSize+w.data+in)
		if got == len(part) {
			err = nil
		}
		n, off = n+got, off+int64(got)
	}
	return n, err
}

// members iterates over a raw image of size bytes. Its files are not contiguous.
func (w raw) members(size int64) archive.Members {
	size = size / rawSize * sectorSize
	return func(yield func(archive.Member, error) bool) {
		for m, err := range Members(w, size) {
			if m.Data == nil && m.Size > 0 {
				m.Data = io.NewSectionReader(w, m.Offset, m.Size)
				m.Offset = 0
			}
			if !yield(m, err) {
				return
			}
		}
	}
}

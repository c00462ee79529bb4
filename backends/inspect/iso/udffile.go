package iso

import (
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// udfFile locates the bytes of a file. An extent at -1 consists of zeros.
type udfFile struct {
	size    int64
	extents []extent
}

// file reads a file entry.
func (u *udf) file(entry reference) (*udfFile, error) {
	const short, long, inline = 0, 1, 3
	at, err := u.place(entry)
	if err != nil {
		return nil, err
	}
	var b [sectorSize]byte
	tag, err := u.descriptor(&b, at, tagEntry, tagLargerEntry)
	if err != nil {
		return nil, err
	}
	attributes, fixed := binary.LittleEndian.Uint32(b[168:]), 176
	used := binary.LittleEndian.Uint32(b[172:])
	if tag == tagLargerEntry {
		attributes, used, fixed = binary.LittleEndian.Uint32(b[208:]), binary.LittleEndian.Uint32(b[212:]), 216
	}
	if int64(attributes)+int64(used) > int64(len(b)-fixed) {
		return nil, errUDF
	}
	f := &udfFile{size: int64(binary.LittleEndian.Uint64(b[56:]))}
	begin := fixed + int(attributes)
	list := b[begin : begin+int(used)]
	switch kind := binary.LittleEndian.Uint16(b[34:]) & 7; {
	case f.size < 0:
		return nil, errUDF
	case kind == inline:
		f.extents = []extent{{at + int64(begin), int64(used)}}
		return f, nil
	case kind == short || kind == long:
		return f, u.extents(f, list, kind == long, entry.partition)
	}
	return nil, errInline
}

// extents reads a list of extents, which may continue elsewhere.
func (u *udf) extents(f *udfFile, list []byte, long bool, partition uint16) error {
	const recorded, continued = 0, 3
	width := 8
	if long {
		width = 16
	}
	var more [sectorSize]byte
	lists := 0
	for len(list) >= width {
		var r reference
		if long {
			r = longReference(list)
		} else {
			r = reference{binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]), partition}
		}
		list = list[width:]
		kind, size := r.size>>30, int64(r.size&(1<<30-1))
		if size == 0 {
			return nil
		}
		at, err := u.place(r)
		switch {
		case err != nil && kind == recorded, len(f.extents) >= maxUDFExtents:
			return errUDF
		case kind == continued:
			if lists++; lists > maxLists {
				return errUDF
			}
			if _, err := u.descriptor(&more, at, tagExtents); err != nil {
				return err
			}
			list = more[24:]
			continue
		case kind != recorded:
			at = -1
		}
		f.extents = append(f.extents, extent{at, size})
	}
	return nil
}

// reader returns a reader of the file.
func (f *udfFile) reader(r io.ReaderAt) io.Reader {
	var parts []io.Reader
	for _, e := range f.extents {
		if e.at < 0 {
			parts = append(parts, io.LimitReader(zeros{}, e.size))
		} else {
			parts = append(parts, io.NewSectionReader(r, e.at, e.size))
		}
	}
	return &exactly{io.MultiReader(parts...), f.size}
}

// zeros is an endless reader of zero bytes.
type zeros struct{}

// Read implements [io.Reader].
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// exactly reads left bytes from from; fewer are an error.
type exactly struct {
	from io.Reader
	left int64
}

// Read implements [io.Reader].
func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.from.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); e.left > 0 {
		err = archive.CutOff(err)
	}
	return n, err
}

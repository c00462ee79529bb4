package iso

import (
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// udfDirectory is a directory that remains to be read.
type udfDirectory struct {
	entry reference
	path  string
}

// tree iterates over the directories below root. It reports whether to continue.
func (u *udf) tree(root reference) bool {
	entries := make(map[reference]bool)
	for todo := []udfDirectory{{entry: root}}; len(todo) > 0; {
		last := len(todo) - 1
		d := todo[last]
		todo = todo[:last]
		if entries[d.entry] {
			continue
		}
		entries[d.entry] = true
		f, err := u.file(d.entry)
		if err == nil {
			var found []udfDirectory
			var more bool
			if found, more, err = u.directory(d.path, f); !more {
				return false
			}
			todo = append(todo, found...)
		}
		if err != nil && !u.yield(archive.Member{Name: d.path}, err) {
			return false
		}
	}
	return true
}

// directory yields the files of a directory and returns its subdirectories. more reports
// whether to continue.
func (u *udf) directory(path string, f *udfFile) (found []udfDirectory, more bool, err error) {
	const fixed, isDirectory, deleted, parent = 38, 0x02, 0x04, 0x08
	r := f.reader(u.r)
	for at := int64(0); at < f.size; {
		var b [fixed]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return found, true, archive.CutOff(err)
		}
		if binary.LittleEndian.Uint16(b[:]) != tagFile {
			return found, true, errUDF
		}
		name := make([]byte, b[19])
		private := int64(binary.LittleEndian.Uint16(b[36:]))
		if _, err := io.CopyN(io.Discard, r, private); err != nil {
			return found, true, archive.CutOff(err)
		}
		if _, err := io.ReadFull(r, name); err != nil {
			return found, true, archive.CutOff(err)
		}
		size := fixed + private + int64(len(name))
		if _, err := io.CopyN(io.Discard, r, -size&3); err != nil {
			return found, true, archive.CutOff(err)
		}
		at += (size + 3) &^ 3
		if b[18]&(deleted|parent) != 0 {
			continue
		}
		entry, full := longReference(b[20:]), join(path, udfName(name))
		if b[18]&isDirectory != 0 {
			found = append(found, udfDirectory{entry, full})
			more = u.yield(archive.Member{Name: full}, nil)
		} else {
			more = u.yieldFile(full, entry)
		}
		if !more {
			return found, false, nil
		}
	}
	return found, true, nil
}

// yieldFile yields a file. It reports whether to continue.
func (u *udf) yieldFile(path string, entry reference) bool {
	f, err := u.file(entry)
	if err != nil {
		return u.yield(archive.Member{Name: path}, err)
	}
	m := archive.Member{Name: path, Size: f.size}
	if len(f.extents) == 1 && f.extents[0].at >= 0 && f.extents[0].size >= f.size {
		m.Offset = f.extents[0].at
		if key := (extent{m.Offset, m.Size}); m.Size > 0 {
			if u.seen[key] {
				return true
			}
			u.seen[key] = true
		}
		if m.Size > u.size-m.Offset {
			return u.cutOff(path, extent{m.Offset, m.Size})
		}
	} else {
		m.Data = f.reader(u.r)
	}
	return u.yield(m, nil)
}

// udfName decodes a name. Its first byte gives the character width.
func udfName(b []byte) string {
	if len(b) > 0 && b[0] == 16 {
		return ucs2(b[1:])
	}
	runes := make([]rune, 0, len(b))
	for _, c := range b[min(1, len(b)):] {
		runes = append(runes, rune(c))
	}
	return string(runes)
}

func join(path, name string) string {
	if path != "" {
		name = path + "/" + name
	}
	return archive.Name([]byte(name))
}

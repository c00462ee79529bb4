package seven

import "polyclam/backends/inspect/internal/walk"

// nameOf returns the name of the file with stream i from a FilesInfo.
func nameOf(files []byte, i uint64) string {
	r := reader{b: files}
	n := r.count()
	var empty []byte
	for !r.bad {
		id := r.byte()
		if id == idEnd {
			return ""
		}
		body := r.bytes(r.number())
		switch {
		case id == emptyStream:
			empty = body
		case id == idNames && len(body) > 0 && body[0] == 0:
			return nameAt(body[1:], fileOf(empty, n, i))
		}
	}
	return ""
}

// fileOf returns the index of the file with stream i. Empty files have no stream.
func fileOf(empty []byte, files, i uint64) uint64 {
	for file := range files {
		if int(file/8) < len(empty) && empty[file/8]&(0x80>>(file%8)) != 0 {
			continue
		}
		if i == 0 {
			return file
		}
		i--
	}
	return files
}

// nameAt returns name i of a list of NUL-terminated names.
func nameAt(names []byte, i uint64) string {
	for ; len(names) > 0; i-- {
		end := 0
		for end+1 < len(names) && (names[end] != 0 || names[end+1] != 0) {
			end += 2
		}
		if i == 0 {
			return walk.UTF16Name(names[:end])
		}
		names = names[min(end+2, len(names)):]
	}
	return ""
}

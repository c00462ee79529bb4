package iso

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// path returns the path of the file that a record describes; raw is the name in it.
func (w *reader) path(record, raw []byte) string {
	name := ""
	if w.volume.joliet {
		name = ucs2(raw)
	} else if name = rockRidge(record); name == "" {
		name = string(raw)
	}
	if before, version, found := strings.Cut(name, ";"); found && strings.Trim(version, "0123456789") == "" {
		name = before
	}
	if !w.volume.joliet {
		name = strings.TrimSuffix(name, ".")
	}
	return join(w.directory.path, name)
}

func ucs2(b []byte) string {
	var units []uint16
	for ; len(b) >= 2; b = b[2:] {
		units = append(units, binary.BigEndian.Uint16(b))
	}
	return string(utf16.Decode(units))
}

// rockRidge returns the POSIX name of a record, or "" if it has none. Continuation areas
// are not read.
func rockRidge(record []byte) string {
	name := ""
	at := 33 + int(record[32])
	at += at & 1
	for at+4 <= len(record) {
		n := int(record[at+2])
		if n < 4 || at+n > len(record) {
			break
		}
		if string(record[at:at+2]) == "NM" && n > 5 {
			name += string(record[at+5 : at+n])
		}
		at += n
	}
	return name
}

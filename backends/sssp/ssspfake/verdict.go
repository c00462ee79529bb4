package ssspfake

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
)

// Markers in addition to those of backendtest.
const (
	MarkCode    = "X-FAKE-CODE="   // and four hexadecimal digits: FAIL with this code
	MarkSlow    = "X-FAKE-SLOW="   // and milliseconds: the duration of the scan
	MarkClose   = "X-FAKE-CLOSE"   // closes the session without an answer
	MarkGarbage = "X-FAKE-GARBAGE" // adds a line that is not in the protocol
)

// texts are SAVI's where they are known.
var texts = map[int]string{
	0x0000: "The function call succeeded",
	0x0203: "Virus found during virus scan",
	0x0210: "Could not open item passed to SAVI for scanning",
	0x0212: "File was encrypted",
	0x021A: "File was corrupt", // composed
	0x060F: "Scan terminated due to timeout",
}

// object is the object itself or a member of an archive.
type object struct {
	path string // percent-encoded; empty for SCANDATA
	data []byte
	zip  bool // an unpacked archive
	lock bool // an encrypted member
}

// verdict returns the block that answers a scan, without the empty line at its end.
func verdict(path string, data []byte, archives, events bool) []string {
	var lines []string
	worst := 0
	for _, o := range objects(path, data, archives) {
		if events {
			lines = append(lines, "EVENT FILE "+o.path, "FILE "+o.path, "TYPE D0")
		}
		code, name := o.scan()
		if name != "" && events {
			lines = append(lines, "EVENT VIRUS "+name+" "+o.path)
		}
		switch {
		case name != "":
			lines = append(lines, "VIRUS "+name+" "+o.path, "OK 0203 "+o.path)
		case code != 0:
			lines = append(lines, fmt.Sprintf("FAIL %04X %s", code, o.path))
		}
		if worst == 0 || code == 0x0203 {
			worst = code
		}
	}
	status := "FAIL"
	if worst == 0x0000 || worst == 0x0203 {
		status = "OK"
	}
	text, ok := texts[worst]
	if !ok {
		text = "Composed text"
	}
	return append(lines, fmt.Sprintf("DONE %s %04X %s", status, worst, text))
}

// scan returns SAVI's code, and the name of a virus.
func (o object) scan() (code int, name string) {
	if o.lock {
		return 0x0212, ""
	}
	if o.zip {
		return 0, ""
	}
	if n, ok := number(o.data, MarkCode, 16); ok {
		return n, ""
	}
	category := backendtest.Marked(o.data)
	if bytes.Equal(o.data, testfile.Encrypted()) {
		category = backends.OK // not unpacked
	}
	switch category {
	case backends.Virus:
		return 0x0203, "EICAR-AV-Test"
	case backends.Suspicious:
		return 0x0203, "Mal/Composed-A"
	case backends.Encrypted:
		return 0x0212, ""
	case backends.Partial:
		return 0x021A, ""
	case backends.SWErr:
		return 0x0202, ""
	}
	return 0, ""
}

// objects returns the object and, if it is a ZIP archive, its members.
func objects(path string, data []byte, archives bool) []object {
	root := object{path: path, data: data}
	if !archives || !bytes.HasPrefix(data, []byte("PK\x03\x04")) {
		return []object{root}
	}
	root.zip = true
	list := []object{root}
	for _, name := range locked(data) {
		list = append(list, object{path: path + "/" + escape(name), lock: true})
	}
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return list
	}
	for _, m := range r.File {
		if m.Flags&1 != 0 {
			continue
		}
		f, err := m.Open()
		if err != nil {
			continue
		}
		content, _ := io.ReadAll(io.LimitReader(f, 16<<20))
		f.Close()
		list = append(list, object{path: path + "/" + escape(m.Name), data: content})
	}
	return list
}

// locked returns the names of the encrypted members: bit 0 of the flags in their local
// header is set (APPNOTE.TXT 4.3.7).
func locked(data []byte) []string {
	var names []string
	for {
		i := bytes.Index(data, []byte("PK\x03\x04"))
		if i < 0 || len(data) < i+30 {
			return names
		}
		data = data[i:]
		n := int(binary.LittleEndian.Uint16(data[26:]))
		if binary.LittleEndian.Uint16(data[6:])&1 != 0 && len(data) >= 30+n {
			names = append(names, string(data[30:30+n]))
		}
		data = data[30:]
	}
}

// number returns the number after a marker.
func number(data []byte, mark string, base int) (int, bool) {
	_, rest, ok := bytes.Cut(data, []byte(mark))
	if !ok {
		return 0, false
	}
	end := 0
	for end < len(rest) && end < 4 && isDigit(rest[end], base) {
		end++
	}
	n, err := strconv.ParseUint(string(rest[:end]), base, 16)
	return int(n), err == nil
}

func isDigit(b byte, base int) bool {
	return b >= '0' && b <= '9' || base == 16 && b >= 'A' && b <= 'F'
}

// escape percent-encodes a path except its slashes.
func escape(path string) string { return (&url.URL{Path: path}).EscapedPath() }

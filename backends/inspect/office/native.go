package office

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// nativeData returns what is in the stream \x01Ole10Native of an embedded object
// ([MS-OLEDS] 2.3.6): a file that was inserted, or what a program makes of it.
func nativeData(from io.Reader) io.Reader {
	const size = 4
	r := bufio.NewReaderSize(from, packageHeader)
	// What breaks off has no data.
	r.Discard(size)
	return packageData(r)
}

// packageHeader is the most that a package's names take.
const packageHeader = 4 << 10

// packageData skips the names before a file that Windows' object packager has
// inserted. What does not begin with such names is returned as it is.
func packageData(r *bufio.Reader) io.Reader {
	b, _ := r.Peek(packageHeader)
	if at := packageStart(b); at > 0 {
		r.Discard(at)
	}
	return r
}

// packageStart returns where the file begins, or 0 if b is not of a package: its
// label, its name, two numbers, the path it had, and its size.
func packageStart(b []byte) int {
	const kind, numbers = 2, 4
	if len(b) < kind || binary.LittleEndian.Uint16(b) != kind {
		return 0
	}
	at := kind
	for range 2 {
		end := bytes.IndexByte(b[at:], 0)
		if end < 0 {
			return 0
		}
		at += end + 1
	}
	at += numbers
	if len(b) < at+4 {
		return 0
	}
	path := binary.LittleEndian.Uint32(b[at:])
	if at += 4; path > uint32(len(b)) || at+int(path)+4 > len(b) {
		return 0
	}
	return at + int(path) + 4
}

package office

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
)

// nativeData returns the data in an embedded object's \x01Ole10Native stream ([MS-OLEDS]
// 2.3.6): an inserted file, or data of another program.
func nativeData(from io.Reader) io.Reader {
	const size = 4
	r := bufio.NewReaderSize(from, packageHeader)
	// A stream that ends here has no data.
	r.Discard(size)
	return packageData(r)
}

// packageHeader limits the names in a package.
const packageHeader = 4 << 10

// packageData skips the names before a file that Windows' object packager inserted. It
// returns other data unchanged.
func packageData(r *bufio.Reader) io.Reader {
	b, _ := r.Peek(packageHeader)
	if at := packageStart(b); at > 0 {
		r.Discard(at)
	}
	return r
}

// packageStart returns the offset of the file in a package, after label, name, two numbers,
// the original path, and the size; or 0 if b is not a package.
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

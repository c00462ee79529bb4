// Package build makes containers for tests, with the libraries' writers or byte by byte
// where there is no writer, or where it could not make what a test needs.
package build

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"testing"
)

// File is a member of an archive.
type File struct {
	Name   string
	Data   []byte
	Stored bool // else deflated, by the writer, with a data descriptor
	// Raw writes Data as it is, with the fields below.
	Raw           bool
	Flags, Method uint16
	Unpacked      uint64
}

// Zip returns a ZIP archive.
func Zip(tb testing.TB, files ...File) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := f.create(w)
		if err == nil {
			_, err = m.Write(f.Data)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func (f File) create(w *zip.Writer) (io.Writer, error) {
	h := &zip.FileHeader{Name: f.Name, Method: zip.Deflate}
	if !f.Raw && !f.Stored {
		return w.CreateHeader(h)
	}
	h.Method = f.Method
	h.Flags = f.Flags
	h.CRC32 = crc32.ChecksumIEEE(f.Data)
	h.CompressedSize64 = uint64(len(f.Data))
	h.UncompressedSize64 = max(f.Unpacked, uint64(len(f.Data)))
	return w.CreateRaw(h)
}

// Text returns an ordinary text member.
func Text(name string) File {
	return File{Name: name, Data: bytes.Repeat([]byte("nothing special in "+name+"\n"), 20)}
}

// Locked returns a member that is marked as encrypted.
func Locked(name string) File {
	return File{Name: name, Raw: true, Flags: 1, Data: []byte("0123456789ab and what follows is encrypted")}
}

// Inner returns a member that is an archive.
func Inner(name string, archive []byte, stored bool) File {
	return File{Name: name, Data: archive, Stored: stored}
}

// ManyMembers returns n ordinary members.
func ManyMembers(n int) []File {
	files := make([]File, n)
	for i := range files {
		files[i] = Text(fmt.Sprintf("dir/%05d.txt", i))
	}
	return files
}

// Nest wraps an archive in depth archives.
func Nest(tb testing.TB, archive []byte, depth int, stored bool) []byte {
	tb.Helper()
	for i := range depth {
		archive = Zip(tb, Text("readme"), Inner(fmt.Sprintf("level%d.zip", i), archive, stored))
	}
	return archive
}

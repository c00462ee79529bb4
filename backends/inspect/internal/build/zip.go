// Package build makes containers for tests.
package build

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"testing"
)

// File is a member of an archive to make.
type File struct {
	Name   string
	Data   []byte
	Stored bool // else deflated, by the writer, with a data descriptor
	// raw writes data as it is, with these.
	Raw           bool
	Flags, Method uint16
	Unpacked      uint64
}

// makeZip makes an archive.
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

// Text is a member that is nothing special.
func Text(name string) File {
	return File{Name: name, Data: bytes.Repeat([]byte("nothing special in "+name+"\n"), 20)}
}

// Locked is a member with encrypted bytes.
func Locked(name string) File {
	return File{Name: name, Raw: true, Flags: 1, Data: []byte("0123456789ab and what follows is encrypted")}
}

func Inner(name string, archive []byte, stored bool) File {
	return File{Name: name, Data: archive, Stored: stored}
}

func ManyMembers(n int) []File {
	files := make([]File, n)
	for i := range files {
		files[i] = Text(fmt.Sprintf("dir/%05d.txt", i))
	}
	return files
}

// Nest puts an archive into archives, depth times.
func Nest(tb testing.TB, archive []byte, depth int, stored bool) []byte {
	tb.Helper()
	for i := range depth {
		archive = Zip(tb, Text("readme"), Inner(fmt.Sprintf("level%d.zip", i), archive, stored))
	}
	return archive
}

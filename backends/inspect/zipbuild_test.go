package inspect

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"testing"
)

// file is a member of an archive to make.
type file struct {
	name   string
	data   []byte
	stored bool // else deflated, by the writer, with a data descriptor
	// raw writes data as it is, with these.
	raw           bool
	flags, method uint16
	unpacked      uint64
}

// makeZip makes an archive.
func makeZip(tb testing.TB, files ...file) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		m, err := f.create(w)
		if err == nil {
			_, err = m.Write(f.data)
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

func (f file) create(w *zip.Writer) (io.Writer, error) {
	h := &zip.FileHeader{Name: f.name, Method: zip.Deflate}
	if !f.raw && !f.stored {
		return w.CreateHeader(h)
	}
	h.Method = f.method
	h.Flags = f.flags
	h.CRC32 = crc32.ChecksumIEEE(f.data)
	h.CompressedSize64 = uint64(len(f.data))
	h.UncompressedSize64 = max(f.unpacked, uint64(len(f.data)))
	return w.CreateRaw(h)
}

// text is a member that is nothing special.
func text(name string) file {
	return file{name: name, data: bytes.Repeat([]byte("nothing special in "+name+"\n"), 20)}
}

// locked is a member with encrypted bytes.
func locked(name string) file {
	return file{name: name, raw: true, flags: 1, data: []byte("0123456789ab and what follows is encrypted")}
}

func inner(name string, archive []byte, stored bool) file {
	return file{name: name, data: archive, stored: stored}
}

func manyMembers(n int) []file {
	files := make([]file, n)
	for i := range files {
		files[i] = text(fmt.Sprintf("dir/%05d.txt", i))
	}
	return files
}

// nest puts an archive into archives, depth times.
func nest(tb testing.TB, archive []byte, depth int, stored bool) []byte {
	tb.Helper()
	for i := range depth {
		archive = makeZip(tb, text("readme"), inner(fmt.Sprintf("level%d.zip", i), archive, stored))
	}
	return archive
}

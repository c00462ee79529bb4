package command

import (
	"archive/zip"
	"bytes"
	"strings"

	"polyclam/backends/testfile"
)

// zipOf returns an archive with data stored under each of the names.
func zipOf(data []byte, names ...string) []byte { return packed(zip.Store, data, names...) }

func packed(method uint16, data []byte, names ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		m, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = m.Write(data)
		}
		if err != nil {
			panic(err) // unreachable: writes to memory
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// deflatedZip returns an archive in whose bytes EICAR is not visible.
func deflatedZip() []byte {
	return packed(zip.Deflate, []byte(strings.Repeat(string(testfile.EICAR()), 10)), "a")
}

// manyZip returns an archive with more members than a low limit.
func manyZip() []byte {
	return zipOf([]byte("text"), strings.Split("a b c d e f g h i j k l m n o p", " ")...)
}

// mixedZip returns an archive with an encrypted member and EICAR.
func mixedZip() []byte {
	r, err := zip.NewReader(bytes.NewReader(testfile.Encrypted()), int64(len(testfile.Encrypted())))
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	if err := w.Copy(r.File[0]); err != nil {
		panic(err)
	}
	m, err := w.CreateHeader(&zip.FileHeader{Name: "eicar.com", Method: zip.Store})
	if err == nil {
		_, err = m.Write(testfile.EICAR())
	}
	if err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

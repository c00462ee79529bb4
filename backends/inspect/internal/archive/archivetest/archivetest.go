// Package archivetest tests archive parsers and the readers of compressed streams.
package archivetest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"polyclam/backends/inspect/internal/archive"
)

// maxData is how much of a member the tests read.
const maxData = 1 << 20

// Parser iterates over an archive.
type Parser func(r io.ReaderAt, size int64) archive.Members

// List returns a line for each member: name, size, and the beginning of its SHA-256; or its
// error.
func List(data []byte, parse Parser) []string {
	var lines []string
	r := bytes.NewReader(data)
	for m, err := range parse(r, r.Size()) {
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: %v", m.Name, err))
			continue
		}
		from := m.Data
		if from == nil {
			from = io.NewSectionReader(r, m.Offset, m.Size)
		}
		b, err := io.ReadAll(io.LimitReader(from, maxData))
		if err != nil {
			lines = append(lines, fmt.Sprintf("%s: after %d bytes: %v", m.Name, len(b), err))
			continue
		}
		lines = append(lines, Line(m.Name, b))
	}
	return lines
}

// Line formats a member as List does.
func Line(name string, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s %d %s", name, len(data), hex.EncodeToString(sum[:4]))
}

// Want compares List's lines with the expected ones. An expected line that ends in "*"
// is a prefix.
func Want(t *testing.T, data []byte, parse Parser, want ...string) {
	t.Helper()
	got := List(data, parse)
	if !slices.EqualFunc(got, want, func(got, want string) bool {
		prefix, any := strings.CutSuffix(want, "*")
		return got == want || any && strings.HasPrefix(got, prefix)
	}) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Samples checks the members of files of testdata.
func Samples(t *testing.T, matches func(head []byte) bool, parse Parser, want map[string][]string) {
	t.Helper()
	for name, want := range want {
		t.Run(name, func(t *testing.T) {
			data := Read(t, name)
			if !matches(data) {
				t.Error("does not match")
			}
			Want(t, data, parse, want...)
		})
	}
}

// Read returns a file of testdata, decompressed if its name ends in ".gz".
func Read(t testing.TB, name string) []byte {
	t.Helper()
	return ReadFile(t, filepath.Join("testdata", name))
}

// ReadFile is Read for a path.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".gz") {
		return data
	}
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	return data
}

// addSamples seeds f with the files of testdata.
func addSamples(f *testing.F) {
	files, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if !file.IsDir() && !strings.HasSuffix(file.Name(), ".md") {
			f.Add(Read(f, file.Name()))
		}
	}
}

// errBudget ends a parser that reads more than any archive needs.
var errBudget = errors.New("budget used up")

// meter is a ReaderAt that fails once its budget is used up.
type meter struct {
	data   []byte
	budget int64
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if m.budget -= int64(len(p)) + 1; m.budget < 0 {
		return 0, errBudget
	}
	return bytes.NewReader(m.data).ReadAt(p, off)
}

// Fuzz checks that on any input a parser ends when nothing more can be read, and stops when
// its caller does.
func Fuzz(f *testing.F, parse Parser) {
	addSamples(f)
	f.Fuzz(func(t *testing.T, data []byte) { CheckParser(t, data, parse) })
}

// CheckParser is the check that Fuzz makes, for one archive.
func CheckParser(t *testing.T, data []byte, parse Parser) {
	t.Helper()
	m := &meter{data, 1 << 20}
	size, members := int64(len(data)), 0
	for member, err := range parse(m, size) {
		if members++; members > 1<<20 {
			t.Fatal("endless members")
		}
		if len(member.Name) > 4*archive.MaxName {
			t.Fatalf("name of %d bytes", len(member.Name))
		}
		if err == nil && (member.Offset < 0 || member.Size < 0) {
			t.Fatalf("%+v", member)
		}
		if err == nil && member.Data != nil {
			if _, err := io.Copy(io.Discard, io.LimitReader(member.Data, maxData)); errors.Is(err, errBudget) {
				break
			}
		}
	}
	for range parse(&meter{data, 1 << 20}, size) {
		break // a parser that continues after this panics
	}
}

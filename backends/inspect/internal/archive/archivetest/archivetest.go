// Package archivetest tests the parsers of archives.
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

// maxData is how much of a member is read.
const maxData = 1 << 20

// Parser goes through an archive.
type Parser func(r io.ReaderAt, size int64) archive.Members

// List returns a line for each member: its name, how many bytes it has, and the
// beginning of their SHA-256; or what is wrong.
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

// Line is what List says of a member.
func Line(name string, data []byte) string {
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%s %d %s", name, len(data), hex.EncodeToString(sum[:4]))
}

// Want compares the list of an archive with what it must be.
func Want(t *testing.T, data []byte, parse Parser, want ...string) {
	t.Helper()
	if got := List(data, parse); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// Read returns a sample. One that ends in ".gz" is unpacked.
func Read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(name, ".gz") {
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

// addSamples adds all of them.
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

// errBudget ends what reads more than any archive needs.
var errBudget = errors.New("budget used up")

// meter fails once its budget is used up.
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

// Fuzz wants of any bytes that a parser ends when nothing can be read any more,
// and soon after the caller has had enough.
func Fuzz(f *testing.F, parse Parser) {
	addSamples(f)
	f.Fuzz(func(t *testing.T, data []byte) { Sound(t, data, parse) })
}

// Opener opens what is packed.
type Opener func(r io.ReaderAt, size int64, charge archive.Charge) io.Reader

// MaxCharge is how much memory Unpack gives.
const MaxCharge = 32 << 20

// Unpack returns what data is unpacked to, as [Line] has it with no name, and with
// the error that ended it.
func Unpack(data []byte, open Opener) string {
	r := bytes.NewReader(data)
	return unpack(open(r, r.Size(), new(memory).charge))
}

func unpack(r io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(r, maxData))
	line := Line("", b)
	if err != nil {
		line += ": " + err.Error()
	}
	return line
}

// ErrMemory is the error of what asks for more than MaxCharge.
var ErrMemory = errors.New("memory used up")

// memory is charged.
type memory struct{ used int64 }

func (m *memory) charge(n int64) error {
	if n < 0 {
		panic("negative charge")
	}
	if m.used += n; m.used > MaxCharge {
		return ErrMemory
	}
	return nil
}

// FuzzStream wants of any bytes that they are unpacked with bounded memory and
// that it ends.
func FuzzStream(f *testing.F, open Opener) {
	addSamples(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := open(&meter{data, 1 << 20}, int64(len(data)), new(memory).charge)
		var p [1000]byte
		for n, idle := 0, 0; n < maxData && idle < 100; {
			got, err := r.Read(p[:])
			if n += got; err != nil {
				return
			}
			if idle++; got > 0 {
				idle = 0
			} else if idle == 100 {
				t.Fatal("no bytes and no error")
			}
		}
	})
}

// Sound checks what Fuzz does for one archive.
func Sound(t *testing.T, data []byte, parse Parser) {
	t.Helper()
	m := &meter{data, 1 << 20}
	size, members := int64(len(data)), 0
	for member, err := range parse(m, size) {
		if members++; members > 1<<20 {
			t.Fatal("members without an end")
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
		break // must not go on, which would panic
	}
}

package archivetest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/archive"
)

// What Unpack returns for the files that the samples of every format were made from.
const (
	ZipLine   = " 156 c8e498fc"   // enc.zip
	TextLine  = " 21199 a84a1f88" // a text
	EmptyLine = " 0 e3b0c442"     // nothing
)

// Stream is a format of files that are one compressed stream.
type Stream struct {
	Open    archive.Opener
	Matches func(head []byte) bool
}

// MaxCharge is how much memory Unpack provides.
const MaxCharge = 32 << 20

// ErrMemory is the error for a stream that asks for more than MaxCharge.
var ErrMemory = errors.New("memory used up")

// memory grants up to MaxCharge.
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

// free is an [archive.Charge] without a limit.
func free(int64) error { return nil }

// Unpack describes the unpacked data as [Line] does, without a name, followed by the
// error that ended it.
func (s Stream) Unpack(data []byte) string {
	r := bytes.NewReader(data)
	b, err := io.ReadAll(io.LimitReader(s.Open(r, r.Size(), new(memory).charge), maxData))
	line := Line("", b)
	if err != nil {
		line += ": " + err.Error()
	}
	return line
}

// Samples checks what files of testdata unpack to.
func (s Stream) Samples(t *testing.T, want map[string]string) {
	t.Helper()
	for name, want := range want {
		data := Read(t, name)
		if !s.Matches(data) {
			t.Errorf("%s does not match", name)
		}
		if got := s.Unpack(data); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// Change damages a sample. It is an alias so that tables may leave out the field names.
type Change = struct {
	Apply func(b []byte) []byte
	Want  string // of Unpack
}

// Changed checks what a file of testdata unpacks to after each of the changes.
func (s Stream) Changed(t *testing.T, file string, changes map[string]Change) {
	t.Helper()
	data := Read(t, file)
	for name, c := range changes {
		if got := s.Unpack(c.Apply(slices.Clone(data))); got != c.Want {
			t.Errorf("%s: %s, want %s", name, got, c.Want)
		}
	}
}

// CutOff checks that a file of testdata gives an error wherever it is truncated, at up
// to about 200 places.
func (s Stream) CutOff(t *testing.T, file string) {
	t.Helper()
	data := Read(t, file)
	for n := 0; n < len(data); n += 1 + len(data)/200 {
		if _, err := io.Copy(io.Discard, s.Open(bytes.NewReader(data), int64(n), free)); err == nil {
			t.Errorf("%s: no error after %d of %d bytes", file, n, len(data))
		}
	}
}

// SmallReads checks that the output does not depend on the size of reads.
func (s Stream) SmallReads(t *testing.T, file string) {
	t.Helper()
	data := Read(t, file)
	open := func() io.Reader { return s.Open(bytes.NewReader(data), int64(len(data)), free) }
	want, err := io.ReadAll(open())
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 7, 100_000} {
		var got []byte
		r, p := open(), make([]byte, size)
		for err = nil; err == nil; {
			var n int
			n, err = r.Read(p)
			got = append(got, p[:n]...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("wrong bytes in reads of %d", size)
		}
	}
}

// Fuzz checks that any input is unpacked with bounded memory, and that it ends.
func (s Stream) Fuzz(f *testing.F) {
	addSamples(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r := s.Open(&meter{data, 1 << 20}, int64(len(data)), new(memory).charge)
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

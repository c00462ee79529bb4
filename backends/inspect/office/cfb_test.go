package office

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/richardlehane/mscfb"

	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// oleStreams reads all streams of a file with our reader and with mscfb.
func oleStreams(t *testing.T, data []byte) (ours, theirs map[string][]byte) {
	t.Helper()
	w := walk.New(walk.Limits{MaxBytes: 64 << 20, MaxDepth: 8, MaxMembers: 10_000}, nil, nil, new(walk.Scratch))
	s := w.Section(t.Context(), bytes.NewReader(data), int64(len(data)))
	f, err := openFile(w, s)
	if err != nil {
		t.Fatal(err)
	}
	ours = make(map[string][]byte)
	if _, err := f.entries(func(e entry) *walk.Sighting {
		if e.kind == stream {
			b, err := io.ReadAll(f.open(e))
			if err != nil {
				t.Errorf("%q: %v", e.name, err)
			}
			ours[e.name] = b
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := mscfb.New(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	theirs = make(map[string][]byte)
	for {
		e, err := r.Next()
		if err != nil {
			return ours, theirs
		}
		b := make([]byte, e.Size)
		// Its running time is quadratic in the size of a read.
		for rest := b; len(rest) > 0; {
			n, err := e.Read(rest[:min(len(rest), 8<<10)])
			if rest = rest[n:]; err != nil && len(rest) > 0 {
				t.Errorf("mscfb: %q: %v", e.Name, err)
				break
			}
		}
		theirs[e.Name] = b
	}
}

// TestReader compares our streams with those of mscfb.
func TestReader(t *testing.T) {
	var streams []build.Stream
	for i, size := range []int{0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 8192, 100_000, 9_000_000} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j*7 + i + j>>8)
		}
		streams = append(streams, build.Stream{Name: fmt.Sprint("stream", i), Data: data})
	}
	for _, shift := range []uint{9, 12} {
		ours, theirs := oleStreams(t, build.OLE(shift, streams...))
		for _, s := range streams {
			if !bytes.Equal(ours[s.Name], s.Data) {
				t.Errorf("%d: %s: %d bytes read differ from %d", shift, s.Name, len(ours[s.Name]), len(s.Data))
			}
			if !bytes.Equal(theirs[s.Name], s.Data) {
				t.Errorf("%d: %s: mscfb reads %d of %d bytes", shift, s.Name, len(theirs[s.Name]), len(s.Data))
			}
		}
		if len(ours) != len(streams) {
			t.Errorf("%d: %d streams, want %d", shift, len(ours), len(streams))
		}
	}
}

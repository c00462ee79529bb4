package seven

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// FuzzSeven has right sums around any streams and header.
func FuzzSeven(f *testing.F) {
	add := func(data []byte) {
		start := int(binary.LittleEndian.Uint64(data[12:])) + sevenStartSize
		f.Add(data[sevenStartSize:start], data[start:])
	}
	files, err := filepath.Glob("../testdata/7z/*.7z")
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no samples")
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(data)
	}
	add(build.Seven(build.SevenStored("a", []byte("some text")), build.SevenStored("b.zip", build.Zip(f, build.Locked("x")))))
	limits := walk.Limits{MaxBytes: 1 << 20, MaxDepth: 8, MaxMembers: 10_000}
	f.Fuzz(func(t *testing.T, streams, header []byte) {
		data := build.SevenArchiveOf(streams, header)
		w := walk.New(limits, []walk.Detector{Detector{}}, nil, new(walk.Scratch))
		seen := w.Look(t.Context(), w.Section(t.Context(), bytes.NewReader(data), int64(len(data))))
		if len(header) == 0 || header[0] != sevenEncodedHeader {
			return
		}
		h := sevenReader{b: header[1:]}
		if s := h.streams(); !h.bad && s.encrypted >= 0 && seen == nil && w.Stopped() == nil {
			t.Error("the header is encrypted, but nothing is seen")
		}
	})
}

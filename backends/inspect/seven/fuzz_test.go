package seven

import (
	"bytes"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// FuzzArchive puts correct checksums around arbitrary streams and headers.
func FuzzArchive(f *testing.F) {
	add := func(data []byte) {
		start := int(binary.LittleEndian.Uint64(data[12:])) + startSize
		f.Add(data[startSize:start], data[start:])
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
		if len(header) == 0 || header[0] != encodedHeader {
			return
		}
		h := reader{b: header[1:]}
		if s := h.streams(); !h.bad && s.encrypted >= 0 && seen == nil && w.Stopped() == nil {
			t.Error("the header is encrypted, but nothing was found")
		}
	})
}

// FuzzMethods checks that every coder ends with any properties and input. A panic is
// harmless, because coders run in a guard.
func FuzzMethods(f *testing.F) {
	ids := slices.Sorted(maps.Keys(methods))
	for i := range ids {
		f.Add(byte(i), []byte{0x5d, 0, 0, 1, 0}, []byte("\x00\x01\x02\x03\x04 some bytes"))
		f.Add(byte(i), []byte{6}, []byte("\xe0\x00\x10\x00\x10\x5d some bytes"))
	}
	f.Fuzz(func(t *testing.T, pick byte, properties, data []byte) {
		const size, most = 1 << 16, 4 << 20
		m := methods[ids[int(pick)%len(ids)]]
		if m.memory(properties, size) > most {
			return
		}
		ins := make([]io.Reader, m.ins)
		for i := range ins {
			ins[i] = bytes.NewReader(data)
		}
		defer func() { recover() }()
		r, err := m.open(properties, size, ins)
		if err != nil {
			return
		}
		io.Copy(io.Discard, io.LimitReader(r, size))
	})
}

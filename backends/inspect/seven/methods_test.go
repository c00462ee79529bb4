package seven

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"polyclam/backends/inspect/internal/walk"
)

// TestMethods unpacks archives that 7-Zip makes with every method and filter.
func TestMethods(t *testing.T) {
	program, err := exec.LookPath("7z")
	if err != nil {
		t.Skip(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	data = data[:min(len(data), 100_001)]
	for _, argv := range [][]string{
		{"-m0=Copy"}, {"-m0=LZMA"}, {"-m0=LZMA2"}, {"-m0=PPMd"}, {"-m0=BZip2"}, {"-m0=Deflate"}, {"-m0=Deflate64"},
		{"-m0=BCJ", "-m1=LZMA2"}, {"-m0=ARM", "-m1=LZMA"}, {"-m0=ARMT", "-m1=LZMA"}, {"-m0=PPC", "-m1=BZip2"},
		{"-m0=SPARC", "-m1=LZMA"}, {"-m0=Delta:1", "-m1=LZMA2"}, {"-m0=Delta:256", "-m1=LZMA2"}, {"-m0=ARM64", "-m1=LZMA2"},
		{"-m0=BCJ2", "-m1=LZMA", "-m2=LZMA", "-m3=LZMA", "-mb0:1", "-mb0s1:2", "-mb0s2:3"},
		{"-m0=BCJ", "-m1=Delta:4", "-m2=LZMA2"}, {"-m0=LZMA:lc4:lp0:d24"},
	} {
		dir := t.TempDir()
		file, archive := filepath.Join(dir, "program"), filepath.Join(dir, "a.7z")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, append([]string{"a", archive, file}, argv...)...).CombinedOutput(); err != nil {
			t.Logf("%v: not supported by this 7z: %v\n%s", argv, err, out)
			continue
		}
		packed, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if got := unpackAll(t, packed); !bytes.Equal(got, data) {
			t.Errorf("%v: %d bytes differ from %d", argv, len(got), len(data))
		}
	}
}

// unpackAll unpacks the first folder of an archive.
func unpackAll(t *testing.T, archive []byte) []byte {
	t.Helper()
	w := walk.New(walk.Limits{MaxBytes: 64 << 20, MaxDepth: 8, MaxMembers: 10_000}, nil, nil, new(walk.Scratch))
	s := w.Section(t.Context(), bytes.NewReader(archive), int64(len(archive)))
	f := &file{ctx: t.Context(), walk: w, section: s}
	start, ok := readStart(s, 0)
	if !ok {
		t.Fatal("not a 7z archive")
	}
	header, ok := f.header(start)
	for ok && header[0] == encodedHeader {
		r := reader{b: header[1:]}
		header, ok = f.unpackHeader(r, r.streams())
	}
	if !ok || string(header[:2]) != "\x01\x04" {
		t.Fatalf("header %q", header)
	}
	r := reader{b: header[2:]}
	streams := r.streams()
	u, err := f.open(streams)
	if err != nil {
		t.Fatal(err)
	}
	defer u.guard.Close()
	packed, _ := u.packedStreams(&streams.folders[0])
	from, release := u.reader(&streams.folders[0], packed)
	if from == nil {
		gap, err := w.Result()
		t.Fatalf("cannot be unpacked: %v, %v", gap, err)
	}
	defer release()
	data, err := io.ReadAll(from)
	if err != nil {
		t.Error(err)
	}
	return data
}

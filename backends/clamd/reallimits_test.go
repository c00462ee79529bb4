package clamd

import (
	"archive/zip"
	"bytes"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/test/clamdtest"
)

// member is one file of an archive that is stored uncompressed.
type member struct {
	name   string
	data   []byte
	zeros  int64 // after data
	locked bool  // data is encrypted
}

// archive writes a ZIP file to w.
func archive(t *testing.T, w io.Writer, members ...member) {
	t.Helper()
	z := zip.NewWriter(w)
	for _, m := range members {
		size := uint64(int64(len(m.data)) + m.zeros)
		h := &zip.FileHeader{Name: m.name, Method: zip.Store, CompressedSize64: size, UncompressedSize64: size, Modified: time.Time{}}
		sum := crc32.NewIEEE()
		io.Copy(sum, io.MultiReader(bytes.NewReader(m.data), io.LimitReader(zeros{}, m.zeros)))
		h.CRC32 = sum.Sum32()
		if m.locked {
			h.Flags |= 1
			h.UncompressedSize64 -= 12 // the head of the cipher
		}
		body, err := z.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(body, io.MultiReader(bytes.NewReader(m.data), io.LimitReader(zeros{}, m.zeros))); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// sized is an archive of exactly size bytes: EICAR first, then zeros. It shows whether
// clamd scans objects of this size at all.
func sized(t *testing.T, size int64) backends.Object {
	t.Helper()
	eicar := member{name: "eicar.com", data: []byte(clamdtest.EICAR())}
	var frame bytes.Buffer
	archive(t, &frame, eicar, member{name: "zeros"})
	path := filepath.Join(t.TempDir(), "sized.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	archive(t, f, eicar, member{name: "zeros", zeros: size - int64(frame.Len())})
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || int64(len(data)) != size {
		t.Fatalf("%d bytes, want %d: %v", len(data), size, err)
	}
	return backendtest.Bytes(t, data)
}

// TestRealHeuristicsFirst shows what HeuristicScanPrecedence does: clamd ends the scan
// at a locked member, in any position, and does not report the virus in another one.
// Without AlertEncrypted the option does no such harm.
func TestRealHeuristicsFirst(t *testing.T) {
	eicar := member{name: "eicar.com", data: []byte(clamdtest.EICAR())}
	locked := member{name: "locked.txt", data: []byte("twelve bytes, and a cipher text"), locked: true}
	for _, tt := range []struct {
		conf              []string
		alone, withVirus  backends.Category
		aloneName, byName string
	}{
		{nil, backends.OK, backends.Virus, "", clamdtest.EICARName},
		{[]string{"AlertEncrypted yes"}, backends.Encrypted, backends.Virus, "Heuristics.Encrypted.Zip", clamdtest.EICARName},
		{[]string{"HeuristicScanPrecedence yes"}, backends.OK, backends.Virus, "", clamdtest.EICARName},
		{[]string{"HeuristicScanPrecedence yes", "AlertEncrypted yes"}, backends.Encrypted, backends.Encrypted, "Heuristics.Encrypted.Zip", "Heuristics.Encrypted.Zip"},
	} {
		d := clamdtest.Start(t, clamdtest.Options{Conf: tt.conf})
		for _, transport := range []string{transportFildes, transportStream} {
			b := open(t, "unix:"+d.Socket, transport)
			for _, object := range []struct {
				members []member
				want    backends.Category
				name    string
			}{
				{[]member{locked}, tt.alone, tt.aloneName},
				{[]member{locked, eicar}, tt.withVirus, tt.byName},
				{[]member{eicar, locked}, tt.withVirus, tt.byName},
			} {
				var data bytes.Buffer
				archive(t, &data, object.members...)
				r, err := b.Scan(testContext(t), backendtest.Bytes(t, data.Bytes()))
				name := ""
				if len(r.Findings) > 0 {
					name = r.Findings[0].Name
				}
				if err != nil || r.Category != object.want || name != object.name {
					t.Errorf("%q, %s, %d members: got %+v, %v, want %s %q", tt.conf, transport, len(object.members), r, err, object.want, object.name)
				}
			}
		}
	}
}

// TestRealSizeLimits shows which limits make clamd answer OK for an object that it has
// not scanned: EICAR in an archive of the size in question is not found.
func TestRealSizeLimits(t *testing.T) {
	const size = 6 << 20
	for _, tt := range []struct {
		conf             []string
		fildes, instream backends.Category
	}{
		{nil, backends.Virus, backends.Virus},
		{[]string{"MaxFileSize 6M"}, backends.Virus, backends.Virus},
		{[]string{"MaxFileSize 5M"}, backends.OK, backends.OK},
		{[]string{"MaxFileSize 5M", "AlertExceedsMax yes"}, backends.Partial, backends.Partial},
		{[]string{"MaxScanSize 5M"}, backends.OK, backends.OK},
		{[]string{"MaxScanSize 7M"}, backends.Virus, backends.Virus},
		{[]string{"StreamMaxLength 5M"}, backends.Virus, backends.Partial},
	} {
		d := clamdtest.Start(t, clamdtest.Options{Conf: tt.conf})
		for _, transport := range []string{transportFildes, transportStream} {
			want := tt.fildes
			if transport == transportStream {
				want = tt.instream
			}
			b := open(t, "unix:"+d.Socket, transport)
			if r, err := b.Scan(testContext(t), sized(t, 400)); err != nil || r.Category != backends.Virus {
				t.Errorf("%q, %s, 400 bytes: got %+v, %v", tt.conf, transport, r, err)
			}
			if r, err := b.Scan(testContext(t), sized(t, size)); err != nil || r.Category != want {
				t.Errorf("%q, %s: got %+v, %v, want %s", tt.conf, transport, r, err, want)
			}
		}
	}
}

// TestRealLargest: clamd scans no object of 2 GiB - 2 bytes, whatever its limits are.
func TestRealLargest(t *testing.T) {
	for _, conf := range [][]string{nil, {"MaxFileSize 0", "MaxScanSize 0"}, {"MaxFileSize 0", "MaxScanSize 0", "AlertExceedsMax yes"}} {
		d := clamdtest.Start(t, clamdtest.Options{Conf: conf})
		r, err := open(t, "unix:"+d.Socket, transportFildes).Scan(testContext(t), newSparse(t, maxScanned+1))
		if err != nil || r.Category != backends.Partial {
			t.Errorf("%q: got %+v, %v", conf, r, err)
		}
		t.Logf("%q: %+v", conf, r)
	}
}

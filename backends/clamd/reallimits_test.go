package clamd

import (
	"archive/zip"
	"bytes"
	"io"
	"slices"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/clamdtest"
)

// archive returns a ZIP archive with these members of testfile.LockedThenEICAR.
func archive(t *testing.T, names ...string) backends.Object {
	t.Helper()
	all := testfile.LockedThenEICAR()
	r, err := zip.NewReader(bytes.NewReader(all), int64(len(all)))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		i := slices.IndexFunc(r.File, func(f *zip.File) bool { return f.Name == name })
		if err := w.Copy(r.File[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return backendtest.Bytes(t, b.Bytes())
}

// sized returns testfile.Large of a size, which shows whether clamd scans such objects.
func sized(t *testing.T, size int64) backends.Object {
	t.Helper()
	r, err := testfile.Large(size)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return backendtest.Bytes(t, data)
}

// TestRealHeuristicsFirst shows the effect of HeuristicScanPrecedence: clamd ends the scan
// at an encrypted member, in any position, and does not report the virus in another one.
// Without AlertEncrypted the option has no such effect.
func TestRealHeuristicsFirst(t *testing.T) {
	const locked, eicar = "locked.txt", "eicar.com"
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
				members []string
				want    backends.Category
				name    string
			}{
				{[]string{locked}, tt.alone, tt.aloneName},
				{[]string{locked, eicar}, tt.withVirus, tt.byName},
				{[]string{eicar, locked}, tt.withVirus, tt.byName},
			} {
				r, err := b.Scan(backendtest.Context(t), archive(t, object.members...))
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

// TestRealSizeLimits shows with which limits clamd answers OK for an object that it has not
// scanned: it does not find EICAR in an archive of that size.
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
			if r, err := b.Scan(backendtest.Context(t), sized(t, testfile.LargeMin)); err != nil || r.Category != backends.Virus {
				t.Errorf("%q, %s, smallest archive: got %+v, %v", tt.conf, transport, r, err)
			}
			if r, err := b.Scan(backendtest.Context(t), sized(t, size)); err != nil || r.Category != want {
				t.Errorf("%q, %s: got %+v, %v, want %s", tt.conf, transport, r, err, want)
			}
		}
	}
}

// TestRealLargest checks that an object of 2 GiB - 2 bytes is partial with any limits of
// clamd.
func TestRealLargest(t *testing.T) {
	for _, conf := range [][]string{nil, {"MaxFileSize 0", "MaxScanSize 0"}, {"MaxFileSize 0", "MaxScanSize 0", "AlertExceedsMax yes"}} {
		d := clamdtest.Start(t, clamdtest.Options{Conf: conf})
		r, err := open(t, "unix:"+d.Socket, transportFildes).Scan(backendtest.Context(t), newSparse(t, maxScanned+1))
		if err != nil || r.Category != backends.Partial {
			t.Errorf("%q: got %+v, %v", conf, r, err)
		}
		t.Logf("%q: %+v", conf, r)
	}
}

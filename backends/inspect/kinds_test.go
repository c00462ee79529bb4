package inspect

import (
	"bytes"
	"compress/zlib"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// kinds returns samples of less usual formats. A finding without walk.FindingPrefix is that
// of a partial result; an empty one means clean.
func kinds(tb testing.TB) []sample {
	tb.Helper()
	return slices.Concat(mailKinds(tb), documentKinds(tb), otherKinds(tb))
}

// lockedX is the detail of lockedZip.
const lockedX = `member "x" in zip: ZipCrypto`

// lockedZip returns an archive with an encrypted member.
func lockedZip(tb testing.TB) []byte {
	tb.Helper()
	return build.Zip(tb, build.Text("a"), build.Locked("x"))
}

// plainZip returns an archive without one.
func plainZip(tb testing.TB) []byte {
	tb.Helper()
	return build.Zip(tb, build.Text("a"))
}

// deflated returns data in the format of zlib.
func deflated(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// otherKinds are the kinds that are neither mails nor documents.
func otherKinds(tb testing.TB) []sample {
	tb.Helper()
	archive, plain := lockedZip(tb), plainZip(tb)
	safe := append(append([]byte("PWS3"), make([]byte, 300)...), "PWS3-EOFPWS3-EOF"...)
	return []sample{
		{"rights-managed message", append([]byte("\x76\xe8\x04\x60\xc4\x11\xe3\x86"), make([]byte, 100)...), walk.FindingPrefix + "RPMSG", "rights management"},
		{"disk image, version 1", append(bytes.Repeat([]byte{0xe1}, 2000), "cdsaencr"...), walk.FindingPrefix + "DMG", "version 1"},
		{"Password Safe", safe, walk.FindingPrefix + "PasswordSafe", "password database"},
		{"RAR 1.4", build.OldRAR("s.txt", make([]byte, 50), true, 0), walk.FindingRAR, `member "s.txt" in rar: RAR 1.4 encryption`},
		{"RAR 1.4, stored", build.OldRAR("z.zip", archive, false, 0), walk.FindingZip, lockedX},
		{"RAR 1.4, packed", build.OldRAR("s.txt", make([]byte, 50), false, 3), walk.UnscannedMethod, "s.txt"},
		{"7z, truncated", build.Seven(build.SevenStored("a", archive))[:60], walk.UnscannedCutOff, "7z"},
		{"gzip, truncated", build.Gzip(tb, "z", plain)[:100], walk.UnscannedCutOff, ""},
	}
}

// TestKinds scans each of the kinds.
func TestKinds(t *testing.T) {
	b := open(t, nil)
	for _, k := range kinds(t) {
		t.Run(k.name, func(t *testing.T) {
			r := scan(t, b, k.data)
			category := backends.Encrypted
			switch {
			case k.finding == "":
				category = backends.OK
			case !strings.HasPrefix(k.finding, walk.FindingPrefix):
				category = backends.Partial
			}
			wantFinding(t, r, category, k.finding)
			if !strings.Contains(r.Detail, k.detail) {
				t.Errorf("detail %q, want %q in it", r.Detail, k.detail)
			}
		})
	}
}

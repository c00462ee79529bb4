package transfer

import (
	"bytes"
	"encoding/base64"
	"testing"

	"polyclam/backends/inspect/internal/build"
)

// FuzzDecoders checks that decoding restores what was encoded, and that output is never
// longer than its text.
func FuzzDecoders(f *testing.F) {
	f.Add([]byte("some bytes\x00\xff=\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var d Base64
		if got := d.Decode(nil, []byte(base64.StdEncoding.EncodeToString(data))); !bytes.Equal(got, data) {
			t.Errorf("base64: %q decoded to %q", data, got)
		}
		for _, decode := range []func(dst, line []byte) []byte{new(Base64).Decode, new(QuotedPrintable).Decode, UU} {
			// An incomplete uuencode group is padded.
			if got := decode(nil, data); len(got) > len(data)+2 {
				t.Errorf("%d bytes decoded to %d", len(data), len(got))
			}
		}
		var got []byte
		for _, line := range bytes.SplitAfter(build.UUEncode("x", data), []byte("\n"))[1:] {
			if !bytes.HasPrefix(line, []byte("end")) {
				got = UU(got, line)
			}
		}
		if !bytes.Equal(got, data) {
			t.Errorf("uuencode: %q decoded to %q", data, got)
		}
	})
}

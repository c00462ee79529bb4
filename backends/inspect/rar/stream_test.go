package rar

import (
	"bytes"
	"io"
	"testing"

	"github.com/nwaples/rardecode/v2"

	"polyclam/backends/inspect/internal/build"
)

// FuzzStream checks that stream counts at least as many bytes as rardecode unpacks.
func FuzzStream(f *testing.F) {
	for _, data := range [][]byte{build.PackLiterals29([]byte("some text")), build.PackPPMd29(), build.PackLaterPPMd29([]byte("some text"))} {
		f.Add(data, false)
	}
	f.Add(build.PackLiterals50([]byte("some text")), true)
	f.Add(build.PackFilters50(3, []byte("some text")), true)
	f.Fuzz(func(t *testing.T, data []byte, five bool) {
		const most = 100_000
		var s stream
		s.begin(bytes.NewReader(data), false, most, most)
		archive := build.RAR4(0, build.RARFile{Name: "x", Raw: data, Unpacked: most})
		var err error
		if five {
			archive = build.RAR5(build.RARFile{Name: "x", Raw: data, Unpacked: most})
			err = s.method50(0)
		} else {
			err = s.method29()
		}
		if err != nil {
			return
		}
		r, err := rardecode.NewReader(bytes.NewReader(archive), rardecode.MaxDictionarySize(1<<20), rardecode.SkipCheck)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
		if n, _ := io.Copy(io.Discard, r); n > s.out {
			t.Errorf("%d bytes unpacked, but only %d counted", n, s.out)
		}
	})
}

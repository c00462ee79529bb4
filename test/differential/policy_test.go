package differential

import (
	"archive/zip"
	"bytes"
	"strings"
	"testing"

	"polyclam/test/clamdtest"
)

// policyDialogues are objects whose answer depends on polyclam's categories and
// actions.
func policyDialogues(f *fixture) []dialogue {
	var ds []dialogue
	in := func(s string) []step { return []step{send("zINSTREAM\x00" + stream(s))} }
	add := func(world, name string, steps []step) *dialogue {
		ds = append(ds, dialogue{name: "policy/" + name, world: world, steps: steps})
		return &ds[len(ds)-1]
	}
	large := strings.Repeat("some words of no meaning\n", 8<<10)
	odd := add("", "odd name", in(clamdtest.Odd))
	odd.deviation, odd.want = "D14", []outcome{closed("stream: Odd_a_b_c_d__e__f___g__h_i.UNOFFICIAL FOUND\x00")}
	long := add("", "long name", in(clamdtest.Long))
	long.deviation, long.want = "D14", []outcome{closed("stream: " + clamdtest.LongName[:128-len("stream:  FOUND\x00")] + " FOUND\x00")}
	add("", "long name, short path", []step{send("zSCAN " + f.path("long") + "\x00")})
	path := f.padded("long", 200)
	cut := add("", "long name, long path", []step{send("zSCAN " + path + "\x00")})
	rest := 256 - len(path) - len(":  FOUND\x00")
	cut.deviation, cut.want = "D14", []outcome{closed(strings.Replace(path, f.dir, "${F}", 1) + ": " + clamdtest.LongName[:rest] + " FOUND\x00")}
	add("", "encrypted zip", in(encryptedZip(f.t)))
	add("", "encrypted zip beside eicar", in(encryptedZip(f.t, "eicar.com", eicar)))
	encrypted := add("alert", "encrypted zip, AlertEncrypted", in(encryptedZip(f.t)))
	encrypted.deviation, encrypted.want = "D15", []outcome{closed("stream: OK\x00")}
	add("alert", "encrypted zip beside eicar, AlertEncrypted", in(encryptedZip(f.t, "eicar.com", eicar)))
	limited := add("alert", "over MaxFileSize, AlertExceedsMax", in(large))
	limited.deviation, limited.want = "D16", []outcome{closed("stream: OK\x00")}
	add("small", "over MaxFileSize", in(large+clamdtest.One))
	add("small", "over MaxFileSize, file", []step{send("zSCAN " + f.path("large") + "\x00")})
	add("small", "over MaxFileSize, eicar in front", in(clamdtest.One+large))
	return ds
}

// encryptedZip is an archive with an encrypted member and then the given ones. Only the
// flag says so: the bytes are random, as encrypted ones are.
func encryptedZip(t *testing.T, members ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	h := &zip.FileHeader{Name: "secret.txt", Method: zip.Store, Flags: 1, CRC32: 0xdeadbeef, CompressedSize64: 30, UncompressedSize64: 18}
	m, err := w.CreateRaw(h)
	if err == nil {
		_, err = m.Write([]byte("\x8b\x12\x9f\xa0\x33\x61\xd4\xe8\x01\x7c\x55\x90\xab\xee\x18\x42\x63\x97\xc1\x0d\x2e\xf8\x44\x5b\xd0\x99\x76\x3a\x87\xe5"))
	}
	for i := 0; i < len(members) && err == nil; i += 2 {
		if m, err = w.Create(members[i]); err == nil {
			_, err = m.Write([]byte(members[i+1]))
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

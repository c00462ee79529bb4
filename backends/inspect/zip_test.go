package inspect

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/testfile"
)

const encryptedZip = "Heuristics.Encrypted.Zip"

func TestZipEncrypted(t *testing.T) {
	plain := build.Text("plain.txt")
	raw := func(flags, method uint16) build.File {
		return build.File{Name: "a/b.txt", Data: bytes.Repeat([]byte("x"), 40), Raw: true, Flags: flags, Method: method}
	}
	one := build.Zip(t, build.Locked("a/b.txt"))
	program := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 5000)...)
	for _, c := range []struct {
		name   string
		data   []byte
		detail string
	}{
		{"own", testfile.Encrypted(), `member "locked.txt" in zip: ZipCrypto`},
		{"traditional", build.Zip(t, raw(1, 0)), `member "a/b.txt" in zip: ZipCrypto`},
		{"traditional streamed", build.Zip(t, raw(9, 8)), `member "a/b.txt" in zip: ZipCrypto`},
		{"traditional UTF-8", build.Zip(t, raw(0x801, 8)), `member "a/b.txt" in zip: ZipCrypto`},
		{"AES", build.Zip(t, raw(1, 99)), `member "a/b.txt" in zip: AES`},
		{"AES without the flag", build.Zip(t, raw(0, 99)), `member "a/b.txt" in zip: AES`},
		{"strong", build.Zip(t, raw(0x41, 8)), `member "a/b.txt" in zip: strong encryption`},
		{"strong directory", build.Zip(t, raw(0x2041, 8)), `member "a/b.txt" in zip: strong encryption with an encrypted directory`},
		{"mixed, first", build.Zip(t, raw(1, 8), plain, plain), `member "a/b.txt" in zip: ZipCrypto`},
		{"mixed, last", build.Zip(t, append(build.ManyMembers(100), raw(1, 8))...), `member "a/b.txt" in zip: ZipCrypto`},
		{"no name", build.Zip(t, build.Locked("")), `member "" in zip: ZipCrypto`},
		{"encrypted empty file", build.Zip(t, build.File{Name: "e", Raw: true, Flags: 1, Data: make([]byte, 12)}), `member "e" in zip: ZipCrypto`},
		{"large size", build.Zip(t, plain, build.File{Name: "huge", Raw: true, Flags: 1, Unpacked: 5 << 30}), `member "huge" in zip: ZipCrypto`},
		{"after a program", append(bytes.Clone(program), one...), `member "a/b.txt" in zip: ZipCrypto`},
		{"after a text", append([]byte("Open this, please.\n"), one...), `member "a/b.txt" in zip: ZipCrypto`},
		{"comment", withComment(one, bytes.Repeat([]byte("c"), 65535)), `member "a/b.txt" in zip: ZipCrypto`},
		{"end in the comment", withComment(one, []byte("x"+build.ZipEnd+strings.Repeat("\x00", 30))), `member "a/b.txt" in zip: ZipCrypto`},
		{"end in the comment, truncated", withComment(one, []byte("x"+build.ZipEnd+"\x00")), `member "a/b.txt" in zip: ZipCrypto`},
		{"trailing data", append(bytes.Clone(one), bytes.Repeat([]byte("trailing"), 1000)...), `member "a/b.txt" in zip: ZipCrypto`},
		{"nested stored", build.Nest(t, one, 1, true), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested deflated", build.Nest(t, one, 1, false), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested twice", build.Nest(t, one, 2, false), `member "level1.zip" in zip: member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested under another name", build.Zip(t, build.Inner("x.txt", one, false)), `member "x.txt" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested program", build.Zip(t, build.Inner("x.exe", append(bytes.Clone(program), one...), true)), `member "x.exe" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested after a program", append(bytes.Clone(program), build.Nest(t, one, 1, false)...), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"several parts", append([]byte("PK\x07\x08"), one[:len(one)-30]...), `member "a/b.txt" in zip: ZipCrypto`},
		{"control bytes in the name", build.Zip(t, build.Locked("a\n\x00\xff: x FOUND")), `member "a\n\x00\xff: x FOUND" in zip: ZipCrypto`},
		{"many members", build.Zip(t, append(make65k(), build.Locked("last"))...), `member "last" in zip: ZipCrypto`},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, scan(t, open(t, nil), c.data), encryptedZip, c.detail)
		})
	}
}

func TestZipPlain(t *testing.T) {
	plain := build.Zip(t, build.ManyMembers(3)...)
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"no member", build.Zip(t)},
		{"no member, comment", withComment(build.Zip(t), []byte("nothing here"))},
		{"deflated and streamed", plain},
		{"stored", build.Zip(t, build.File{Name: "s", Data: bytes.Repeat([]byte("s"), 100), Stored: true})},
		{"directory", build.Zip(t, build.File{Name: "d/", Stored: true}, build.Text("d/x"))},
		{"directory with the flag", build.Zip(t, build.File{Name: "d/", Raw: true, Flags: 1}, build.Text("d/x"))},
		{"long directory with the flag", build.Zip(t, build.File{Name: strings.Repeat("d", 500) + "/", Raw: true, Flags: 1})},
		{"UTF-8", build.Zip(t, build.File{Name: "ü", Data: []byte("u"), Stored: true, Flags: 0x800})},
		{"comment", withComment(plain, bytes.Repeat([]byte("PK"), 30000))},
		{"after a program", append(bytes.Repeat([]byte("MZ"), 3000), plain...)},
		{"nested", build.Nest(t, plain, 3, false)},
		{"nested stored", build.Nest(t, plain, 3, true)},
		{"text with a signature", []byte("not an archive " + build.ZipLocal + "\x14\x00\x01\x00 at all")},
		{"text with an end", append([]byte("not an archive "+build.ZipEnd), make([]byte, 40)...)},
		{"signature alone", []byte(build.ZipLocal)},
		{"end alone", []byte(build.ZipEnd)},
		{"65536 members", build.Zip(t, make65k()...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, func(c *Config) { c.MaxMembers = 100_000 })
			wantFinding(t, scan(t, b, c.data), backends.OK, "")
		})
	}
}

// TestZipUnscanned scans members that cannot be inspected.
func TestZipUnscanned(t *testing.T) {
	plain := build.Zip(t, build.ManyMembers(3)...)
	raw := func(method uint16, data []byte) []byte {
		return build.Zip(t, build.Text("a"), build.File{Name: "u", Data: data, Raw: true, Method: method})
	}
	missing := build.Zip(t, build.Text("a"), build.Text("b"))
	binary.LittleEndian.PutUint32(missing[bytes.LastIndex(missing, []byte(build.ZipCentral))+42:], 7)
	for _, c := range []struct {
		name string
		data []byte
		want string
	}{
		{"unknown method", raw(77, bytes.Repeat([]byte("u"), 100)), walk.UnscannedMethod},
		{"implode", raw(6, bytes.Repeat([]byte("u"), 100)), walk.UnscannedMethod},
		{"PPMd", raw(98, bytes.Repeat([]byte("u"), 100)), walk.UnscannedMethod},
		{"broken deflate", raw(8, bytes.Repeat([]byte{0xff}, 100)), walk.UnscannedBroken},
		{"broken Deflate64", raw(9, bytes.Repeat([]byte{0xff}, 100)), walk.UnscannedBroken},
		{"broken LZMA", raw(14, bytes.Repeat([]byte("u"), 100)), walk.UnscannedBroken},
		{"broken BZip2", raw(12, bytes.Repeat([]byte("u"), 100)), walk.UnscannedBroken},
		{"too small to matter", raw(77, []byte("15 bytes of it.")), ""},
		{"nested, truncated", build.Zip(t, build.Inner("b.zip", plain[:len(plain)/2], false)), walk.UnscannedCutOff},
		{"nested stored, truncated", build.Zip(t, build.Inner("b.zip", plain[:len(plain)/2], true)), walk.UnscannedCutOff},
		{"member not where it should be", missing, walk.UnscannedBroken},
	} {
		t.Run(c.name, func(t *testing.T) {
			category := backends.Partial
			if c.want == "" {
				category = backends.OK
			}
			wantFinding(t, scan(t, open(t, nil), c.data), category, c.want)
		})
	}
	locked := build.File{Name: "n.zip", Data: build.Zip(t, build.Locked("x")), Stored: true}
	r := scan(t, open(t, nil), build.Zip(t, build.File{Name: "u", Data: make([]byte, 99), Raw: true, Method: 77}, locked))
	wantFinding(t, r, backends.Encrypted, encryptedZip, walk.UnscannedMethod)
}

// TestZipFlags scans archives whose flags are set in only one of the two headers.
func TestZipFlags(t *testing.T) {
	b := open(t, nil)
	local := build.Zip(t, build.File{Name: "x", Data: make([]byte, 50), Raw: true, Method: 8})
	local[6] |= 1
	wantFinding(t, scan(t, b, local), backends.Encrypted, encryptedZip)
	// A member that does not exist is not encrypted,
	nowhere := build.Zip(t, build.Locked("x"))
	clear(nowhere[:4])
	wantFinding(t, scan(t, b, append([]byte("some text"), nowhere...)), backends.OK, "")
	// unless it is in another part of a split archive.
	end := bytes.LastIndex(nowhere, []byte(build.ZipEnd))
	nowhere[end+4] = 1
	wantFinding(t, scan(t, b, nowhere), backends.Encrypted, encryptedZip)
	split := build.Zip(t, build.Text("x"))
	split[bytes.LastIndex(split, []byte(build.ZipEnd))+4] = 1
	wantFinding(t, scan(t, b, split), backends.Partial, walk.UnscannedSplit)
}

// TestZipMethods scans members compressed with 7-Zip's methods.
func TestZipMethods(t *testing.T) {
	program, err := exec.LookPath("7z")
	if err != nil {
		t.Skip(err)
	}
	b := open(t, nil)
	dir := t.TempDir()
	inner := filepath.Join(dir, "in.zip")
	if err := os.WriteFile(inner, append(build.Zip(t, build.Locked("x")), bytes.Repeat([]byte("some text "), 5000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"Copy", "Deflate", "Deflate64", "BZip2", "LZMA"} {
		archive := filepath.Join(dir, method+".zip")
		if out, err := exec.Command(program, "a", "-tzip", "-mm="+method, archive, inner).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", method, err, out)
		}
		data, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		if wantFinding(t, scan(t, b, data), backends.Encrypted, encryptedZip); t.Failed() {
			t.Fatal(method)
		}
	}
}

func make65k() []build.File {
	files := make([]build.File, 65536)
	for i := range files {
		files[i] = build.File{Name: fmt.Sprintf("%x", i), Data: []byte("twenty bytes of text"), Stored: true}
	}
	return files
}

func withComment(archive, comment []byte) []byte {
	out := bytes.Clone(archive)
	binary.LittleEndian.PutUint16(out[len(out)-2:], uint16(len(comment)))
	return append(out, comment...)
}

// TestZipTruncatedPlain checks that truncated plain archives cause no false alarm and no
// failure.
func TestZipTruncatedPlain(t *testing.T) {
	b := open(t, nil)
	for name, data := range map[string][]byte{
		"streamed": build.Zip(t, build.Text("a"), build.Text("b"), build.Inner("c.zip", build.Zip(t, build.Text("d")), false)),
		"stored":   build.Zip(t, build.File{Name: "a", Data: []byte("some bytes here"), Stored: true}, build.Inner("c.zip", build.Zip(t, build.Text("d")), true)),
	} {
		for n := range data {
			// With at least one member, the missing directory is reported.
			if r := scan(t, b, data[:n]); r.Category != backends.OK && !isCutOff(r) {
				t.Fatalf("%s cut to %d of %d: %+v", name, n, len(data), r)
			}
		}
	}
}

// TestZipTruncatedEncrypted checks that the local headers of truncated archives suffice.
func TestZipTruncatedEncrypted(t *testing.T) {
	b := open(t, nil)
	streamed := build.File{Name: "s", Raw: true, Flags: 9, Method: 8, Data: bytes.Repeat([]byte("s"), 50)}
	for name, data := range map[string][]byte{
		"first":                  build.Zip(t, build.Locked("x"), build.Text("a")),
		"streamed":               build.Zip(t, streamed),
		"second after stored":    build.Zip(t, build.File{Name: "a", Data: []byte("some bytes"), Stored: true}, build.Locked("x")),
		"second after streamed":  build.Zip(t, build.Text("a"), build.Locked("x")),
		"third after two kinds":  build.Zip(t, build.Text("a"), build.File{Name: "b", Stored: true}, build.Locked("x")),
		"after a large streamed": build.Zip(t, build.File{Name: "a", Data: backendtest.LargeObject(t, 200_000).Data()}, build.Locked("x")),
		"after an odd signature": build.Zip(t, build.File{Name: "a", Stored: true, Flags: 8, Data: []byte(build.ZipLocal + build.ZipLocal + "\xff\xff\xff")}, build.Locked("x")),
	} {
		t.Run(name, func(t *testing.T) {
			directory := bytes.Index(data, []byte(build.ZipCentral))
			for n := directory - 10; n < len(data); n += 7 {
				wantFinding(t, scan(t, b, data[:n]), backends.Encrypted, encryptedZip)
			}
			zeroed := bytes.Clone(data)
			clear(zeroed[directory:])
			wantFinding(t, scan(t, b, zeroed), backends.Encrypted, encryptedZip)
		})
	}
}

// TestZip64 scans an archive whose directory can be found only through the ZIP64 end
// record.
func TestZip64(t *testing.T) {
	for name, a := range map[string][]byte{"alone": nil, "after a script": bytes.Repeat([]byte("#!/bin/sh\n"), 50)} {
		plain := build.Zip(t, build.Locked("x"), build.Text("y"))
		end := bytes.LastIndex(plain, []byte(build.ZipEnd))
		size, offset := binary.LittleEndian.Uint32(plain[end+12:]), binary.LittleEndian.Uint32(plain[end+16:])
		large := binary.LittleEndian.AppendUint64([]byte(build.ZipEnd64), build.ZipEnd64Size-12)
		large = append(large, make([]byte, 12)...)
		for range 2 { // records on this disk, and in total
			large = binary.LittleEndian.AppendUint64(large, 2)
		}
		large = binary.LittleEndian.AppendUint64(large, uint64(size))
		large = binary.LittleEndian.AppendUint64(large, uint64(offset))
		large = binary.LittleEndian.AppendUint64(append(large, build.ZipEnd64Locate+"\x00\x00\x00\x00"...), uint64(end))
		large = append(large, 1, 0, 0, 0)
		data := append(append(bytes.Clone(a), plain[:end]...), large...)
		data = append(append(data, build.ZipEnd...), bytes.Repeat([]byte{0xff}, 16)...)
		data = append(data, 0, 0)
		if z, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); a == nil && (err != nil || len(z.File) != 2) {
			t.Fatalf("the archive built by the test is broken: %v", err)
		}
		r := scan(t, open(t, nil), data)
		if wantFinding(t, r, backends.Encrypted, encryptedZip); t.Failed() {
			t.Log(name)
		}
	}
}

func TestZipLongNames(t *testing.T) {
	long := strings.Repeat("\xff", 65000)
	data := build.Nest(t, build.Zip(t, build.Locked(long)), 1, false)
	for range 5 {
		data = build.Zip(t, build.Inner(long, data, true))
	}
	r := scan(t, open(t, nil), data)
	wantFinding(t, r, backends.Encrypted, encryptedZip)
	if len(r.Detail) > walk.MaxDetail {
		t.Errorf("detail of %d bytes", len(r.Detail))
	}
}

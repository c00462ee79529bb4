package inspect

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

const encryptedZip = "Heuristics.Encrypted.Zip"

func TestZipEncrypted(t *testing.T) {
	plain := text("plain.txt")
	raw := func(flags, method uint16) file {
		return file{name: "a/b.txt", data: bytes.Repeat([]byte("x"), 40), raw: true, flags: flags, method: method}
	}
	one := makeZip(t, locked("a/b.txt"))
	program := append([]byte("MZ"), bytes.Repeat([]byte{0x90}, 5000)...)
	for _, c := range []struct {
		name   string
		data   []byte
		detail string
	}{
		{"own", backendtest.EncryptedZip(), `member "hello.txt" in zip: ZipCrypto`},
		{"traditional", makeZip(t, raw(1, 0)), `member "a/b.txt" in zip: ZipCrypto`},
		{"traditional streamed", makeZip(t, raw(9, 8)), `member "a/b.txt" in zip: ZipCrypto`},
		{"traditional UTF-8", makeZip(t, raw(0x801, 8)), `member "a/b.txt" in zip: ZipCrypto`},
		{"AES", makeZip(t, raw(1, 99)), `member "a/b.txt" in zip: AES`},
		{"AES without the flag", makeZip(t, raw(0, 99)), `member "a/b.txt" in zip: AES`},
		{"strong", makeZip(t, raw(0x41, 8)), `member "a/b.txt" in zip: strong encryption`},
		{"strong directory", makeZip(t, raw(0x2041, 8)), `member "a/b.txt" in zip: strong encryption with an encrypted directory`},
		{"mixed, first", makeZip(t, raw(1, 8), plain, plain), `member "a/b.txt" in zip: ZipCrypto`},
		{"mixed, last", makeZip(t, append(manyMembers(100), raw(1, 8))...), `member "a/b.txt" in zip: ZipCrypto`},
		{"no name", makeZip(t, locked("")), `member "" in zip: ZipCrypto`},
		{"encrypted empty file", makeZip(t, file{name: "e", raw: true, flags: 1, data: make([]byte, 12)}), `member "e" in zip: ZipCrypto`},
		{"large size", makeZip(t, plain, file{name: "huge", raw: true, flags: 1, unpacked: 5 << 30}), `member "huge" in zip: ZipCrypto`},
		{"behind a program", append(bytes.Clone(program), one...), `member "a/b.txt" in zip: ZipCrypto`},
		{"behind a text", append([]byte("Open this, please.\n"), one...), `member "a/b.txt" in zip: ZipCrypto`},
		{"comment", withComment(one, bytes.Repeat([]byte("c"), 65535)), `member "a/b.txt" in zip: ZipCrypto`},
		{"end in the comment", withComment(one, []byte("x"+zipEnd+strings.Repeat("\x00", 30))), `member "a/b.txt" in zip: ZipCrypto`},
		{"end in the comment, cut", withComment(one, []byte("x"+zipEnd+"\x00")), `member "a/b.txt" in zip: ZipCrypto`},
		{"something behind", append(bytes.Clone(one), bytes.Repeat([]byte("trailing"), 1000)...), `member "a/b.txt" in zip: ZipCrypto`},
		{"nested stored", nest(t, one, 1, true), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested deflated", nest(t, one, 1, false), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested twice", nest(t, one, 2, false), `member "level1.zip" in zip: member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested under another name", makeZip(t, inner("x.txt", one, false)), `member "x.txt" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested program", makeZip(t, inner("x.exe", append(bytes.Clone(program), one...), true)), `member "x.exe" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"nested behind a program", append(bytes.Clone(program), nest(t, one, 1, false)...), `member "level0.zip" in zip: member "a/b.txt" in zip: ZipCrypto`},
		{"several parts", append([]byte("PK\x07\x08"), one[:len(one)-30]...), `member "a/b.txt" in zip: ZipCrypto`},
		{"control bytes in the name", makeZip(t, locked("a\n\x00\xff: x FOUND")), `member "a\n\x00\xff: x FOUND" in zip: ZipCrypto`},
		{"many members", makeZip(t, append(make65k(), locked("last"))...), `member "last" in zip: ZipCrypto`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := scan(t, open(t, nil), c.data)
			wantFinding(t, r, backends.Encrypted, encryptedZip)
			if r.Detail != c.detail {
				t.Errorf("detail %q, want %q", r.Detail, c.detail)
			}
		})
	}
}

func TestZipPlain(t *testing.T) {
	plain := makeZip(t, manyMembers(3)...)
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"no member", makeZip(t)},
		{"no member, comment", withComment(makeZip(t), []byte("nothing here"))},
		{"deflated and streamed", plain},
		{"stored", makeZip(t, file{name: "s", data: bytes.Repeat([]byte("s"), 100), stored: true})},
		{"directory", makeZip(t, file{name: "d/", stored: true}, text("d/x"))},
		{"directory with the flag", makeZip(t, file{name: "d/", raw: true, flags: 1}, text("d/x"))},
		{"long directory with the flag", makeZip(t, file{name: strings.Repeat("d", 500) + "/", raw: true, flags: 1})},
		{"UTF-8", makeZip(t, file{name: "ü", data: []byte("u"), stored: true, flags: 0x800})},
		{"unknown method", makeZip(t, file{name: "u", data: bytes.Repeat([]byte("u"), 100), raw: true, method: 14})},
		{"broken deflate", makeZip(t, file{name: "u", data: bytes.Repeat([]byte{0xff}, 100), raw: true, method: 8})},
		{"comment", withComment(plain, bytes.Repeat([]byte("PK"), 30000))},
		{"behind a program", append(bytes.Repeat([]byte("MZ"), 3000), plain...)},
		{"nested", nest(t, plain, 3, false)},
		{"nested stored", nest(t, plain, 3, true)},
		{"nested broken", makeZip(t, inner("b.zip", plain[:len(plain)/2], false), inner("c.zip", plain[:len(plain)/2], true))},
		{"text with a signature", []byte("not an archive " + zipLocal + "\x14\x00\x01\x00 at all")},
		{"text with an end", append([]byte("not an archive "+zipEnd), make([]byte, 40)...)},
		{"signature alone", []byte(zipLocal)},
		{"end alone", []byte(zipEnd)},
		{"65536 members", makeZip(t, make65k()...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, func(c *Config) { c.MaxMembers = 100_000 })
			wantFinding(t, scan(t, b, c.data), backends.OK, "")
		})
	}
}

func make65k() []file {
	files := make([]file, 65536)
	for i := range files {
		files[i] = file{name: fmt.Sprintf("%x", i), data: []byte("twenty bytes of text"), stored: true}
	}
	return files
}

func withComment(archive, comment []byte) []byte {
	out := bytes.Clone(archive)
	binary.LittleEndian.PutUint16(out[len(out)-2:], uint16(len(comment)))
	return append(out, comment...)
}

// TestZipTruncatedPlain cuts plain archives everywhere: no false alarm, no
// failure.
func TestZipTruncatedPlain(t *testing.T) {
	b := open(t, nil)
	for name, data := range map[string][]byte{
		"streamed": makeZip(t, text("a"), text("b"), inner("c.zip", makeZip(t, text("d")), false)),
		"stored":   makeZip(t, file{name: "a", data: []byte("some bytes here"), stored: true}, inner("c.zip", makeZip(t, text("d")), true)),
	} {
		for n := range data {
			if r := scan(t, b, data[:n]); r.Category != backends.OK {
				t.Fatalf("%s cut to %d of %d: %+v", name, n, len(data), r)
			}
		}
	}
}

// TestZipTruncatedEncrypted cuts archives: the local headers must do.
func TestZipTruncatedEncrypted(t *testing.T) {
	b := open(t, nil)
	streamed := file{name: "s", raw: true, flags: 9, method: 8, data: bytes.Repeat([]byte("s"), 50)}
	for name, data := range map[string][]byte{
		"first":                  makeZip(t, locked("x"), text("a")),
		"streamed":               makeZip(t, streamed),
		"second after stored":    makeZip(t, file{name: "a", data: []byte("some bytes"), stored: true}, locked("x")),
		"second after streamed":  makeZip(t, text("a"), locked("x")),
		"third after two kinds":  makeZip(t, text("a"), file{name: "b", stored: true}, locked("x")),
		"after a large streamed": makeZip(t, file{name: "a", data: backendtest.LargeContent(t, 200_000).Data()}, locked("x")),
		"after an odd signature": makeZip(t, file{name: "a", stored: true, flags: 8, data: []byte(zipLocal + zipLocal + "\xff\xff\xff")}, locked("x")),
	} {
		t.Run(name, func(t *testing.T) {
			directory := bytes.Index(data, []byte(zipCentral))
			for n := directory - 10; n < len(data); n += 7 {
				wantFinding(t, scan(t, b, data[:n]), backends.Encrypted, encryptedZip)
			}
			zeroed := bytes.Clone(data)
			clear(zeroed[directory:])
			wantFinding(t, scan(t, b, zeroed), backends.Encrypted, encryptedZip)
		})
	}
}

// TestZip64 hides the place of the directory in the large end record.
func TestZip64(t *testing.T) {
	for name, a := range map[string][]byte{"alone": nil, "behind something": bytes.Repeat([]byte("#!/bin/sh\n"), 50)} {
		plain := makeZip(t, locked("x"), text("y"))
		end := bytes.LastIndex(plain, []byte(zipEnd))
		size, offset := binary.LittleEndian.Uint32(plain[end+12:]), binary.LittleEndian.Uint32(plain[end+16:])
		large := binary.LittleEndian.AppendUint64([]byte(zipEnd64), zipEnd64Size-12)
		large = append(large, make([]byte, 12)...)
		for range 2 { // records on this disk, and at all
			large = binary.LittleEndian.AppendUint64(large, 2)
		}
		large = binary.LittleEndian.AppendUint64(large, uint64(size))
		large = binary.LittleEndian.AppendUint64(large, uint64(offset))
		large = binary.LittleEndian.AppendUint64(append(large, zipEnd64Locate+"\x00\x00\x00\x00"...), uint64(end))
		large = append(large, 1, 0, 0, 0)
		data := append(append(bytes.Clone(a), plain[:end]...), large...)
		data = append(append(data, zipEnd...), bytes.Repeat([]byte{0xff}, 16)...)
		data = append(data, 0, 0)
		if z, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); a == nil && (err != nil || len(z.File) != 2) {
			t.Fatalf("the test's own archive is broken: %v", err)
		}
		r := scan(t, open(t, nil), data)
		if wantFinding(t, r, backends.Encrypted, encryptedZip); t.Failed() {
			t.Log(name)
		}
	}
}

func TestZipLongNames(t *testing.T) {
	long := strings.Repeat("\xff", 65000)
	data := nest(t, makeZip(t, locked(long)), 1, false)
	for range 5 {
		data = makeZip(t, inner(long, data, true))
	}
	r := scan(t, open(t, nil), data)
	wantFinding(t, r, backends.Encrypted, encryptedZip)
	if len(r.Detail) > maxDetail {
		t.Errorf("detail of %d bytes", len(r.Detail))
	}
}

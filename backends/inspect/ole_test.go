package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

const bof8 = "\x09\x08\x00\x06\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestOLEEncrypted(t *testing.T) {
	info := func(major, minor byte) build.Stream {
		return build.Stream{Name: "EncryptionInfo", Data: append([]byte{major, 0, minor, 0}, make([]byte, 200)...)}
	}
	pack := build.Stream{Name: "EncryptedPackage", Data: bytes.Repeat([]byte("\x00\xff\x55"), 3000)}
	small := build.Stream{Name: "EncryptedPackage", Data: bytes.Repeat([]byte("\x00\xff\x55"), 100)}
	for _, c := range []struct {
		name    string
		streams []build.Stream
		detail  string
	}{
		{"agile", []build.Stream{info(4, 4), pack}, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"agile, small", []build.Stream{info(4, 4), small}, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"standard", []build.Stream{pack, info(3, 2)}, `member "EncryptedPackage" in ole2: encrypted package, standard`},
		{"extensible", []build.Stream{info(4, 3), pack}, `member "EncryptedPackage" in ole2: encrypted package, extensible`},
		{"rights", []build.Stream{pack}, `member "EncryptedPackage" in ole2: rights management`},
		{"old rights", []build.Stream{{Name: "\tDRMContent", Data: make([]byte, 100)}}, `member "\tDRMContent" in ole2: rights management`},
		{"word", []build.Stream{{Name: "1Table", Data: make([]byte, 5000)}, {Name: "WordDocument", Data: build.WordStream(0xa5ec, 0x0100, 5000)}}, `member "WordDocument" in ole2: RC4`},
		{"word, small", []build.Stream{{Name: "WordDocument", Data: build.WordStream(0xa5ec, 0x1300, 2000)}}, `member "WordDocument" in ole2: RC4`},
		{"word XOR", []build.Stream{{Name: "WordDocument", Data: build.WordStream(0xa5ec, 0x8100, 5000)}}, `member "WordDocument" in ole2: XOR obfuscation`},
		{"word 6", []build.Stream{{Name: "WordDocument", Data: build.WordStream(0xa5dc, 0x0100, 5000)}}, `member "WordDocument" in ole2: XOR obfuscation`},
		{"excel RC4", []build.Stream{{Name: "Workbook", Data: build.BIFF(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")}}, `member "Workbook" in ole2: RC4`},
		{"excel CryptoAPI", []build.Stream{{Name: "Workbook", Data: build.BIFF(bof8, "\x86\x00", "\x2f\x00\x01\x00\x04\x00\x02\x00")}}, `member "Workbook" in ole2: RC4 CryptoAPI`},
		{"excel XOR", []build.Stream{{Name: "Workbook", Data: build.BIFF(bof8, "\x2f\x00\x00\x00\x12\x34\x56\x78")}}, `member "Workbook" in ole2: XOR obfuscation`},
		{"excel 5", []build.Stream{{Name: "Book", Data: build.BIFF(bof8[:10], "\x2f\x00\x12\x34\x56\x78")}}, `member "Book" in ole2: XOR obfuscation`},
		{"powerpoint", []build.Stream{{Name: "PowerPoint Document", Data: make([]byte, 5000)}, {Name: "Current User", Data: build.CurrentUser(0xf3d1c4df)}}, `member "Current User" in ole2: RC4`},
		{"attachment", []build.Stream{{Name: "a", Data: []byte("text")}, {Name: "__substg1.0_37010102", Data: build.Zip(t, build.Text("a"), build.Locked("x"))}}, `member "__substg1.0_37010102" in ole2: member "x" in zip: ZipCrypto`},
		{"large attachment", []build.Stream{{Name: "__substg1.0_37010102", Data: build.Zip(t, build.File{Name: "a", Data: bytes.Repeat([]byte("x"), 9000), Stored: true}, build.Locked("x"))}}, `member "__substg1.0_37010102" in ole2: member "x" in zip: ZipCrypto`},
	} {
		for _, shift := range []uint{9, 12} {
			t.Run(fmt.Sprint(c.name, " ", 1<<shift), func(t *testing.T) {
				data := append(build.OLE(shift, c.streams...), make([]byte, 70_000)...)
				r := scan(t, open(t, nil), data)
				if r.Category != backends.Encrypted || r.Detail != c.detail {
					t.Errorf("%+v, want detail %q", r, c.detail)
				}
			})
		}
	}
}

func TestOLEPlain(t *testing.T) {
	data := build.OLE(9,
		build.Stream{Name: "WordDocument", Data: build.WordStream(0xa5ec, 0xfeff&^0x8000, 5000)},
		build.Stream{Name: "Workbook", Data: build.BIFF(bof8, "\x86\x00", "\x85\x00abc", "\x2f\x00\x01\x00\x01\x00\x01\x00")},
		build.Stream{Name: "Book", Data: build.BIFF("\x2f\x00\x01\x00\x01\x00\x01\x00")},
		build.Stream{Name: "Current User", Data: build.CurrentUser(0xe391c05f)},
		build.Stream{Name: "EncryptionInfo", Data: []byte{4, 0, 4, 0}},
		build.Stream{Name: "in.zip", Data: build.Zip(t, build.Text("a"))},
		build.Stream{Name: "empty", Data: nil},
	)
	b := open(t, nil)
	wantFinding(t, scan(t, b, data), backends.OK, "")
	for n := 0; n < len(data); n += 37 {
		if r := scan(t, b, data[:n]); r.Category != backends.OK && !isCutOff(r) {
			t.Fatalf("%d of %d bytes: %+v", n, len(data), r)
		}
	}
}

// TestOLEBroken scans files with a broken table that Office does not need, or needs only
// for another stream.
func TestOLEBroken(t *testing.T) {
	locked := build.OLE(9, build.Stream{Name: "EncryptedPackage", Data: make([]byte, 9000)})
	plain := build.OLE(9, build.Stream{Name: "x", Data: make([]byte, 9000)}, build.Stream{Name: "y", Data: make([]byte, 100)})
	const more, minis = 68, 60
	b := open(t, nil)
	for _, at := range []int{more, minis} {
		for _, sector := range []uint32{0, 5, 0x12345} {
			binary.LittleEndian.PutUint32(locked[at:], sector)
			wantFirst(t, scan(t, b, locked), backends.Encrypted, walk.FindingOLE)
		}
		binary.LittleEndian.PutUint32(locked[at:], 0xfffffffe)
	}
	binary.LittleEndian.PutUint32(plain[minis:], 0x12345)
	wantFinding(t, scan(t, b, plain), backends.Partial, walk.UnscannedCutOff)
	binary.LittleEndian.PutUint32(plain[minis:], 0xfffffffe)
	wantFinding(t, scan(t, b, plain), backends.Partial, walk.UnscannedBroken)
	plain[30] = 7
	wantFinding(t, scan(t, b, plain), backends.Partial, walk.UnscannedBroken)
}

// TestOLEBombs scans files with cyclic chains, deep directories, and huge numbers.
func TestOLEBombs(t *testing.T) {
	b := open(t, nil)
	word := build.Stream{Name: "WordDocument", Data: build.WordStream(0xa5ec, 0, 50_000)}
	for i := range 200 {
		data := build.OLE(9, word, build.Stream{Name: "x", Data: make([]byte, 3000)})
		// Make the entries of header and table point elsewhere, one at a time.
		at := 44 + 4*i
		if i >= 100 {
			at = len(data) - 512 + 4*(i-100)
		}
		binary.LittleEndian.PutUint32(data[at:], uint32(i%60))
		scan(t, b, data)
		binary.LittleEndian.PutUint32(data[at:], 0x7ffffff0)
		scan(t, b, data)
	}
	var many []build.Stream
	for i := range 30_000 {
		many = append(many, build.Stream{Name: fmt.Sprint("s", i), Data: nil})
	}
	data := build.OLE(9, many...)
	// Make each entry a child of the previous one: mscfb keeps all their paths.
	directory := bytes.Index(data, []byte("R\x00o\x00o\x00t\x00"))
	for i := range many {
		e := data[directory+128*i:]
		binary.LittleEndian.PutUint32(e[72:], 0xffffffff)
		binary.LittleEndian.PutUint32(e[76:], uint32(i+1))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	wantFinding(t, scan(t, b, data), backends.OK, "")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<20 {
		t.Errorf("%d bytes allocated", got)
	}
}

// FuzzOLE checks the results for arbitrary compound files.
func FuzzOLE(f *testing.F) {
	for _, shift := range []uint{9, 12} {
		f.Add(build.OLE(shift, build.Stream{Name: "WordDocument", Data: build.WordStream(0xa5ec, 0x100, 300)}, build.Stream{Name: "x", Data: make([]byte, 4096)}))
		f.Add(build.OLE(shift, build.Stream{Name: "Workbook", Data: build.BIFF(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")}))
		f.Add(build.OLE(shift, build.Stream{Name: "EncryptionInfo", Data: []byte{4, 0, 4, 0}}, build.Stream{Name: "EncryptedPackage", Data: make([]byte, 100)}))
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzScan(t, b, append([]byte(build.OLESignature), data[min(8, len(data)):]...))
	})
}

package inspect

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"

	"github.com/richardlehane/mscfb"

	"polyclam/backends"
)

const bof8 = "\x09\x08\x00\x06\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

func TestOLEEncrypted(t *testing.T) {
	info := func(major, minor byte) oleStreamFile {
		return oleStreamFile{"EncryptionInfo", append([]byte{major, 0, minor, 0}, make([]byte, 200)...)}
	}
	pack := oleStreamFile{"EncryptedPackage", bytes.Repeat([]byte("\x00\xff\x55"), 3000)}
	small := oleStreamFile{"EncryptedPackage", bytes.Repeat([]byte("\x00\xff\x55"), 100)}
	for _, c := range []struct {
		name    string
		streams []oleStreamFile
		detail  string
	}{
		{"agile", []oleStreamFile{info(4, 4), pack}, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"agile, small", []oleStreamFile{info(4, 4), small}, `member "EncryptedPackage" in ole2: encrypted package, agile`},
		{"standard", []oleStreamFile{pack, info(3, 2)}, `member "EncryptedPackage" in ole2: encrypted package, standard`},
		{"extensible", []oleStreamFile{info(4, 3), pack}, `member "EncryptedPackage" in ole2: encrypted package, extensible`},
		{"rights", []oleStreamFile{pack}, `member "EncryptedPackage" in ole2: rights management`},
		{"old rights", []oleStreamFile{{"\tDRMContent", make([]byte, 100)}}, `member "\tDRMContent" in ole2: rights management`},
		{"word", []oleStreamFile{{"1Table", make([]byte, 5000)}, {"WordDocument", wordStream(0xa5ec, 0x0100, 5000)}}, `member "WordDocument" in ole2: RC4`},
		{"word, small", []oleStreamFile{{"WordDocument", wordStream(0xa5ec, 0x1300, 2000)}}, `member "WordDocument" in ole2: RC4`},
		{"word XOR", []oleStreamFile{{"WordDocument", wordStream(0xa5ec, 0x8100, 5000)}}, `member "WordDocument" in ole2: XOR obfuscation`},
		{"word 6", []oleStreamFile{{"WordDocument", wordStream(0xa5dc, 0x0100, 5000)}}, `member "WordDocument" in ole2: XOR obfuscation`},
		{"excel RC4", []oleStreamFile{{"Workbook", biff(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")}}, `member "Workbook" in ole2: RC4`},
		{"excel CryptoAPI", []oleStreamFile{{"Workbook", biff(bof8, "\x86\x00", "\x2f\x00\x01\x00\x04\x00\x02\x00")}}, `member "Workbook" in ole2: RC4 CryptoAPI`},
		{"excel XOR", []oleStreamFile{{"Workbook", biff(bof8, "\x2f\x00\x00\x00\x12\x34\x56\x78")}}, `member "Workbook" in ole2: XOR obfuscation`},
		{"excel 5", []oleStreamFile{{"Book", biff(bof8[:10], "\x2f\x00\x12\x34\x56\x78")}}, `member "Book" in ole2: XOR obfuscation`},
		{"powerpoint", []oleStreamFile{{"PowerPoint Document", make([]byte, 5000)}, {"Current User", currentUser(0xf3d1c4df)}}, `member "Current User" in ole2: RC4`},
		{"attachment", []oleStreamFile{{"a", []byte("text")}, {"__substg1.0_37010102", makeZip(t, text("a"), locked("x"))}}, `member "__substg1.0_37010102" in ole2: member "x" in zip: ZipCrypto`},
		{"large attachment", []oleStreamFile{{"__substg1.0_37010102", makeZip(t, file{name: "a", data: bytes.Repeat([]byte("x"), 9000), stored: true}, locked("x"))}}, `member "__substg1.0_37010102" in ole2: member "x" in zip: ZipCrypto`},
	} {
		for _, shift := range []uint{9, 12} {
			t.Run(fmt.Sprint(c.name, " ", 1<<shift), func(t *testing.T) {
				data := append(makeOLE(shift, c.streams...), make([]byte, 70_000)...)
				r := scan(t, open(t, nil), data)
				if r.Category != backends.Encrypted || r.Detail != c.detail {
					t.Errorf("%+v, want detail %q", r, c.detail)
				}
			})
		}
	}
}

func TestOLEPlain(t *testing.T) {
	data := makeOLE(9,
		oleStreamFile{"WordDocument", wordStream(0xa5ec, 0xfeff&^0x8000, 5000)},
		oleStreamFile{"Workbook", biff(bof8, "\x86\x00", "\x85\x00abc", "\x2f\x00\x01\x00\x01\x00\x01\x00")},
		oleStreamFile{"Book", biff("\x2f\x00\x01\x00\x01\x00\x01\x00")},
		oleStreamFile{"Current User", currentUser(0xe391c05f)},
		oleStreamFile{"EncryptionInfo", []byte{4, 0, 4, 0}},
		oleStreamFile{"in.zip", makeZip(t, text("a"))},
		oleStreamFile{"empty", nil},
	)
	b := open(t, nil)
	wantFinding(t, scan(t, b, data), backends.OK, "")
	for n := 0; n < len(data); n += 37 {
		if r := scan(t, b, data[:n]); r.Category != backends.OK {
			t.Fatalf("%d of %d bytes: %+v", n, len(data), r)
		}
	}
}

// oleStreams reads all streams of a file with ours, and with mscfb.
func oleStreams(t *testing.T, data []byte) (ours, theirs map[string][]byte) {
	t.Helper()
	c := open(t, nil).config
	w := newWalk(&c, new(scratch))
	s := w.section(t.Context(), bytes.NewReader(data), int64(len(data)))
	f, err := openOLE(w, s)
	if err != nil {
		t.Fatal(err)
	}
	ours = make(map[string][]byte)
	if _, err := f.entries(func(e oleEntry) *sighting {
		if e.kind == oleStream {
			b, err := io.ReadAll(f.open(e))
			if err != nil {
				t.Errorf("%q: %v", e.name, err)
			}
			ours[e.name] = b
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	r, err := mscfb.New(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	theirs = make(map[string][]byte)
	for {
		e, err := r.Next()
		if err != nil {
			return ours, theirs
		}
		b := make([]byte, e.Size)
		// Its time grows with the square of what it reads at once.
		for rest := b; len(rest) > 0; {
			n, err := e.Read(rest[:min(len(rest), 8<<10)])
			if rest = rest[n:]; err != nil && len(rest) > 0 {
				t.Errorf("mscfb: %q: %v", e.Name, err)
				break
			}
		}
		theirs[e.Name] = b
	}
}

// TestOLEReader compares the streams with those that mscfb reads.
func TestOLEReader(t *testing.T) {
	var streams []oleStreamFile
	for i, size := range []int{0, 1, 63, 64, 65, 511, 512, 513, 4095, 4096, 4097, 8192, 100_000, 9_000_000} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j*7 + i + j>>8)
		}
		streams = append(streams, oleStreamFile{fmt.Sprint("stream", i), data})
	}
	for _, shift := range []uint{9, 12} {
		ours, theirs := oleStreams(t, makeOLE(shift, streams...))
		for _, s := range streams {
			if !bytes.Equal(ours[s.name], s.data) {
				t.Errorf("%d: %s: %d bytes read differ from %d", shift, s.name, len(ours[s.name]), len(s.data))
			}
			if !bytes.Equal(theirs[s.name], s.data) {
				t.Errorf("%d: %s: mscfb reads %d of %d bytes", shift, s.name, len(theirs[s.name]), len(s.data))
			}
		}
		if len(ours) != len(streams) {
			t.Errorf("%d: %d streams, want %d", shift, len(ours), len(streams))
		}
	}
}

// TestOLEBombs turns chains into circles, and makes deep directories and large
// numbers.
func TestOLEBombs(t *testing.T) {
	b := open(t, nil)
	word := oleStreamFile{"WordDocument", wordStream(0xa5ec, 0, 50_000)}
	for i := range 200 {
		data := makeOLE(9, word, oleStreamFile{"x", make([]byte, 3000)})
		// Every fourth byte of header and table points somewhere else.
		at := 44 + 4*i
		if i >= 100 {
			at = len(data) - 512 + 4*(i-100)
		}
		binary.LittleEndian.PutUint32(data[at:], uint32(i%60))
		scan(t, b, data)
		binary.LittleEndian.PutUint32(data[at:], 0x7ffffff0)
		scan(t, b, data)
	}
	var many []oleStreamFile
	for i := range 30_000 {
		many = append(many, oleStreamFile{fmt.Sprint("s", i), nil})
	}
	data := makeOLE(9, many...)
	// Each entry is a child of the one before: mscfb keeps all their paths.
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

// FuzzOLE wants a sound result and bounded work.
func FuzzOLE(f *testing.F) {
	for _, shift := range []uint{9, 12} {
		f.Add(makeOLE(shift, oleStreamFile{"WordDocument", wordStream(0xa5ec, 0x100, 300)}, oleStreamFile{"x", make([]byte, 4096)}))
		f.Add(makeOLE(shift, oleStreamFile{"Workbook", biff(bof8, "\x2f\x00\x01\x00\x01\x00\x01\x00")}))
		f.Add(makeOLE(shift, oleStreamFile{"EncryptionInfo", []byte{4, 0, 4, 0}}, oleStreamFile{"EncryptedPackage", make([]byte, 100)}))
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		fuzzScan(t, b, append([]byte(oleSignature), data[min(8, len(data)):]...))
	})
}

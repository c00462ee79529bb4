package inspect

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/walk"
)

// pdfBuilder builds documents from objects.
type pdfBuilder struct {
	b       bytes.Buffer
	offsets map[int]int
}

func newPDF(prefix string) *pdfBuilder {
	p := &pdfBuilder{offsets: make(map[int]int)}
	p.b.WriteString(prefix + "%PDF-1.7\n")
	p.object(1, "<< /Type /Catalog /Pages 2 0 R >>")
	return p
}

func (p *pdfBuilder) object(n int, body string) {
	p.offsets[n] = p.b.Len()
	fmt.Fprintf(&p.b, "%d 0 obj\n%s\nendobj\n", n, body)
}

// table ends the document with a cross-reference table.
func (p *pdfBuilder) table(trailer string) []byte {
	at := p.b.Len()
	p.b.WriteString("xref\n0 1\n0000000000 65535 f \n")
	for n, offset := range p.offsets {
		fmt.Fprintf(&p.b, "%d 1\n%010d 00000 n \n", n, offset)
	}
	fmt.Fprintf(&p.b, "trailer\n<< /Size 20 /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n", trailer, at)
	return p.b.Bytes()
}

// stream ends the document with a cross-reference stream of 20 objects. Those in packed are
// in object stream 15. up selects a predictor.
func (p *pdfBuilder) stream(trailer string, packed map[int]int, up bool) []byte {
	at := p.b.Len()
	p.offsets[16] = at
	var rows []byte
	before := make([]byte, 7)
	for n := range 20 {
		row := make([]byte, 7)
		if offset, ok := p.offsets[n]; ok {
			copy(row, []byte{1, 0, byte(offset >> 16), byte(offset >> 8), byte(offset), 0, 0})
		} else if place, ok := packed[n]; ok {
			copy(row, []byte{2, 0, 0, 0, 15, 0, byte(place)})
		}
		if up {
			rows = append(rows, 2)
			for i := range row {
				rows = append(rows, row[i]-before[i])
			}
			before = row
			continue
		}
		rows = append(rows, row...)
	}
	parameters := ""
	if up {
		parameters = "/DecodeParms << /Predictor 12 /Columns 7 >>"
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(rows)
	w.Close()
	fmt.Fprintf(&p.b, "16 0 obj\n<< /Type /XRef /Size 20 /W [1 4 2] /Root 1 0 R /Filter /FlateDecode %s /Length %d %s >>\nstream\n%s\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n", parameters, z.Len(), trailer, z.Bytes(), at)
	return p.b.Bytes()
}

// lockedPDF is an encryption dictionary that requires a password.
var lockedPDF = fmt.Sprintf("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <%s> /U <%s> >>", strings.Repeat("ab", 32), strings.Repeat("cd", 32))

// openPDF is an encryption dictionary for the empty user password and an empty ID.
var openPDF = fmt.Sprintf("<< /Filter /Standard /V 2 /R 3 /Length 128 /P 4294967292 /O <%s> /U <6bb9360a8cd49fcca356bf06a10f0d06%032x> >>", strings.Repeat("ab", 32), 0)

// pdfTable returns a document with objects from number 5 on and a table.
func pdfTable(prefix, trailer string, objects ...string) []byte {
	p := newPDF(prefix)
	for i, o := range objects {
		p.object(i+5, o)
	}
	return p.table(trailer)
}

func TestPDFEncrypted(t *testing.T) {
	const rc4 = "pdf: RC4 128 bit, revision 3"
	wrongStart := func(b []byte) []byte { return bytes.Replace(b, []byte("startxref\n"), []byte("startxref\n9"), 1) }
	objects := newPDF("")
	objects.object(15, fmt.Sprintf("<< /Type /ObjStm /N 2 /First 10 /Length %d >>\nstream\n7 0 8 2   1 %s\nendstream", len(lockedPDF)+20, lockedPDF))
	stream := newPDF("")
	stream.object(5, lockedPDF)
	plainStream := newPDF("")
	plainStream.object(5, lockedPDF)
	for _, c := range []struct {
		name   string
		data   []byte
		detail string
	}{
		{"reference", pdfTable("", "/Encrypt 5 0 R", lockedPDF), rc4},
		{"direct", pdfTable("", "/Encrypt "+lockedPDF), rc4},
		{"after junk", pdfTable("junk before it\n", "/Encrypt 5 0 R", lockedPDF), rc4},
		{"values by reference", pdfTable("", "/Encrypt 5 0 R", strings.Replace(lockedPDF, "/R 3", "/R 6 0 R", 1), "3"), rc4},
		{"certificates", pdfTable("", "/Encrypt << /Filter /Adobe.PubSec /V 4 >>"), `pdf: security handler "Adobe.PubSec"`},
		{"other handler", pdfTable("", "/Encrypt << /Filter /Foo#42ar /V 1 >>"), `pdf: security handler "FooBar"`},
		{"stream", stream.stream("/Encrypt 5 0 R", nil, false), rc4},
		{"stream with predictor", plainStream.stream("/Encrypt 5 0 R", nil, true), rc4},
		{"in an object stream", objects.stream("/Encrypt 8 0 R", map[int]int{7: 0, 8: 1}, true), rc4},
		{"wrong startxref", wrongStart(pdfTable("", "/Encrypt 5 0 R", lockedPDF)), rc4},
		{"no startxref", bytes.Replace(pdfTable("", "/Encrypt 5 0 R", lockedPDF), []byte("startxref"), []byte("startxxxx"), 1), rc4},
		{"wrong offset", bytes.Replace(pdfTable("", "/Encrypt 5 0 R", lockedPDF), []byte("5 1\n00000"), []byte("5 1\n00009"), 1), rc4},
		{"cut table", bytes.Replace(pdfTable("", "/Encrypt 5 0 R", lockedPDF), []byte("5 1\n00000"), []byte("5 1\n"), 1), rc4},
		{"no table at all", []byte("%PDF-1.4\n5 0 obj " + lockedPDF + " endobj\ntrailer << /Root 1 0 R /Encrypt 5 0 R >>\n"), rc4},
		{"stream without startxref", func() []byte {
			p := newPDF("")
			p.object(5, lockedPDF)
			return bytes.Replace(p.stream("/Encrypt 5 0 R", nil, false), []byte("startxref"), []byte("x"), 1)
		}(), rc4},
		{"updated", func() []byte {
			first := pdfTable("", "/Encrypt 5 0 R", lockedPDF)
			at := len(first)
			prev := bytes.LastIndex(first, []byte("xref\n0 1"))
			return fmt.Appendf(first, "xref\n0 1\n0000000000 65535 f \ntrailer\n<< /Size 20 /Root 1 0 R /Prev %d /Encrypt 5 0 R >>\nstartxref\n%d\n%%%%EOF", prev, at)
		}(), rc4},
		{"far from the end", append(pdfTable("", "/Encrypt 5 0 R", lockedPDF), make([]byte, 30_000)...), rc4},
		{"startxref far from the end", slices.Concat(pdfTable("", ""), bytes.ReplaceAll(pdfTable("", "/Encrypt 5 0 R", lockedPDF), []byte("startxref"), []byte("startxxxx")), make([]byte, 3000)), rc4},
		{"comments", pdfTable("", "% /Encrypt 6 0 R\n /Encrypt%x\n5%y\r0 R", lockedPDF), rc4},
		{"revision 9", pdfTable("", "/Encrypt "+strings.Replace(lockedPDF, "/R 3", "/R 9", 1)), strings.Replace(rc4, "revision 3", "revision 9", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantDetail(t, scan(t, open(t, nil), c.data), walk.FindingPDF, c.detail)
		})
	}
}

func TestPDFPlain(t *testing.T) {
	for _, c := range []struct {
		name string
		data []byte
	}{
		{"empty password", pdfTable("", "/Encrypt 5 0 R", openPDF)},
		{"plain", pdfTable("", "")},
		{"word in a text", pdfTable("", "", "(trailer << /Encrypt 5 0 R >>)", lockedPDF)},
		{"metadata flag", pdfTable("", "/EncryptMetadata false")},
		{"null", pdfTable("", "/Encrypt null")},
		{"to itself", pdfTable("", "/Encrypt 5 0 R", "5 0 R")},
		{"to nothing", pdfTable("", "/Encrypt 9 0 R")},
		{"cycle of sections", func() []byte {
			first := pdfTable("", "/Prev 0000000")
			at := bytes.LastIndex(first, []byte("xref\n0 1"))
			return bytes.Replace(first, []byte("/Prev 0000000"), fmt.Appendf(nil, "/Prev %07d", at), 1)
		}()},
		{"nothing", []byte("%PDF-")},
		{"deep", []byte("%PDF-1.4\ntrailer " + strings.Repeat("<< /Encrypt [", 9000))},
	} {
		t.Run(c.name, func(t *testing.T) { wantFinding(t, scan(t, open(t, nil), c.data), backends.OK, "") })
	}
}

// TestPDFTruncated checks that truncated documents that are plain, or open with an empty
// password, give no false alarm.
func TestPDFTruncated(t *testing.T) {
	b := open(t, nil)
	files := sampleFiles(t)
	for _, name := range []string{"pdf/plain.pdf", "pdf/plain-objects.pdf", "pdf/owner-r3.pdf", "pdf/owner-r4.pdf"} {
		data := files[name]
		for n := range data {
			// Without the ID the key cannot be derived: skip cuts inside the trailer.
			if strings.Contains(name, "owner") && n > bytes.LastIndex(data, []byte("trailer")) && n < len(data)-40 {
				continue
			}
			if r := scan(t, b, data[:n]); r.Category != backends.OK {
				t.Fatalf("%s: %d of %d bytes: %+v", name, n, len(data), r)
			}
		}
	}
}

// FuzzPDF scans documents with arbitrary bytes as an object and in the trailer.
func FuzzPDF(f *testing.F) {
	f.Add([]byte("/Encrypt 5 0 R"), []byte(lockedPDF))
	f.Add([]byte("/Encrypt "+lockedPDF), []byte("(\\"))
	f.Add([]byte("/Prev 9 /XRefStm 17"), []byte("<< /Type /XRef /W [1 2 3] /Index [0 5] >> stream\n"))
	for name, data := range sampleFiles(f) {
		if strings.HasSuffix(name, ".pdf") {
			f.Add(data, []byte(nil))
		}
	}
	b := fuzzBackend(f)
	f.Fuzz(func(t *testing.T, trailer, object []byte) {
		p := newPDF("")
		p.object(5, string(object))
		fuzzScan(t, b, p.table(string(trailer)))
		fuzzScan(t, b, p.stream(string(trailer), map[int]int{8: 1}, true))
		fuzzScan(t, b, append([]byte("%PDF-1.4\n"), trailer...))
	})
}

package inspect

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/inspect/internal/build"
	"polyclam/backends/inspect/internal/walk"
)

// picture is a file that no detector inspects.
var picture = slices.Concat([]byte("\xff\xd8\xff\xe0\x00\x10JFIF\x00"), bytes.Repeat([]byte{0xe1, 2, 0xf7}, 2000), []byte("\xff\xd9"))

// TestAppended scans archives that follow something else, where unzip, unrar and 7z find
// them: in a plain file and attached to a mail.
func TestAppended(t *testing.T) {
	archives := map[string]struct {
		data []byte
		want string
	}{
		"zip": {build.Zip(t, build.Locked("x")), walk.FindingZip},
		"rar": {build.RAR5(build.RARFile{Name: "s.txt", Data: make([]byte, 64), Encrypted: true}), walk.FindingRAR},
		"7z":  {sampleFiles(t)["7z/copy.7z"], walk.FindingSeven},
	}
	fakes := bytes.Repeat([]byte("Rar!\x1a\x07\x05-7z\xbc\xaf\x27\x1c-"), 20)
	b := open(t, nil)
	for name, a := range archives {
		for before, prefix := range map[string][]byte{
			"picture": picture,
			"zip":     build.Zip(t, build.Text("a")),
			"fakes":   slices.Concat([]byte("MZ"), make([]byte, 2000), fakes, make([]byte, 40)),
			"text":    []byte(build.Paragraphs(3000)),
		} {
			data := slices.Concat(prefix, a.data)
			for how, data := range map[string][]byte{
				"alone":   data,
				"in mail": build.Attach("x.bin", data),
				"in msg":  build.OLE(9, build.Stream{Name: "__substg1.0_37010102", Data: data}),
			} {
				if r := scan(t, b, data); r.Category != backends.Encrypted || r.Findings[0].Name != a.want {
					t.Errorf("%s after %s, %s: %+v, want %s", name, before, how, r, a.want)
				}
			}
		}
	}
}

// TestAppendedMember checks that a stored member is not inspected a second time as appended
// data, which would use up the budget.
func TestAppendedMember(t *testing.T) {
	member := build.Seven(build.SevenStored("a.tar", append(build.Tar(t, build.Text("a")), make([]byte, 3<<20)...)))
	data := build.Tar(t, build.Text("a"), build.File{Name: "x.7z", Data: member})
	b := open(t, func(c *Config) { c.MaxBytes = 12 << 20 })
	wantFinding(t, scan(t, b, data), backends.OK, "")
}

// TestTwoZips scans archives that different programs read differently.
func TestTwoZips(t *testing.T) {
	locked, plain := build.Zip(t, build.Locked("x")), build.Zip(t, build.Text("a"))
	nested := build.Zip(t, build.Inner("in.zip", locked, false))
	inComment := slices.Clone(nested)
	binary.LittleEndian.PutUint16(inComment[len(inComment)-2:], uint16(len(plain)))
	// The directory says that the member is stored, its local header that it is
	// deflated. unzip trusts the local header.
	stored := slices.Clone(nested)
	at := bytes.Index(stored, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint16(stored[at+10:], 0)
	for name, data := range map[string][]byte{
		"locked, plain":           slices.Concat(locked, plain),
		"plain, locked":           slices.Concat(plain, locked),
		"nested, plain":           slices.Concat(nested, plain),
		"plain, nested, plain":    slices.Concat(plain, nested, plain),
		"plain one in a comment":  slices.Concat(inComment, plain),
		"method":                  stored,
		"stored after a picture":  build.Zip(t, build.Inner("p.jpg", slices.Concat(picture, locked), true)),
		"attached after picture":  build.Attach("p.jpg", slices.Concat(picture, nested)),
		"forwarded after picture": build.Mail(build.MailPart{Kind: "message/rfc822", Data: build.Attach("p.jpg", slices.Concat(picture, locked))}),
	} {
		t.Run(name, func(t *testing.T) {
			wantFinding(t, scan(t, open(t, nil), data), backends.Encrypted, walk.FindingZip)
		})
	}
}

// TestBrokenDirectory scans a directory that breaks off after its first member, in an
// archive whose beginning does not show its members; and one that lists members that do not
// exist.
func TestBrokenDirectory(t *testing.T) {
	data := slices.Concat(picture, build.Zip(t, build.Text("a"), build.Text("b")))
	// As zip -A writes it: offsets count from the beginning of the file.
	le32, n := binary.LittleEndian, uint32(len(picture))
	one, two, end := bytes.Index(data, []byte("PK\x01\x02")), bytes.LastIndex(data, []byte("PK\x01\x02")), bytes.LastIndex(data, []byte("PK\x05\x06"))
	for _, at := range []int{one + 42, two + 42, end + 16} {
		le32.PutUint32(data[at:], le32.Uint32(data[at:])+n)
	}
	data[two] = 'x'
	b := open(t, nil)
	wantFinding(t, scan(t, b, data), backends.Partial, walk.UnscannedBroken)
	first := bytes.Index(data, []byte("PK\x03\x04"))
	data[first] = 'x'
	wantFinding(t, scan(t, b, data), backends.OK, "")
}

// TestStreams scans compressed streams whose first part is empty, or whose header not all
// libraries accept.
func TestStreams(t *testing.T) {
	archive := build.Zip(t, build.Locked("x"))
	long := strings.Repeat("n", 3000)
	badTar := build.Tar(t, build.Text("a"), build.File{Name: "x.zip", Data: archive})
	badTar[148] ^= 1
	gzip := func(name string, data []byte) []byte {
		b := build.Gzip(t, "", data)
		b[3] |= 0x08
		return slices.Concat(b[:10], []byte(name+"\x00"), b[10:])
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"gzip, long name":                {gzip(long, archive), walk.FindingZip},
		"gzip, then long name":           {slices.Concat(gzip("a", nil), gzip(long, archive)), walk.FindingZip},
		"gzip, zeros, gzip":              {slices.Concat(gzip("a", archive[:50]), make([]byte, 512), gzip("b", archive[50:])), walk.FindingZip},
		"gzip, junk":                     {append(gzip("a", archive), "junk"...), walk.FindingZip},
		"gzip of a tar with a wrong sum": {gzip("a", badTar), walk.FindingZip},
		"gzip, broken":                   {append(gzip("a", archive)[:12], bytes.Repeat([]byte{0xff}, 99)...), walk.UnscannedBroken},
		"gzip, cut off":                  {gzip("a", archive)[:9], walk.UnscannedCutOff},
		"gzip, name cut off":             {gzip(long, archive)[:2000], walk.UnscannedCutOff},
		"bzip2, empty":                   {slices.Concat([]byte("BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00"), sampleBzip2), walk.UnscannedCutOff},
		"gzip of a plain text":           {gzip("a", []byte(build.Paragraphs(3000))), ""},
		"gzip with junk, plain":          {append(gzip("a", []byte("text, and no more than that")), "junk"...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			category := backends.Encrypted
			switch {
			case c.want == "":
				category = backends.OK
			case strings.HasPrefix(c.want, exceeded):
				category = backends.Partial
			}
			wantFinding(t, scan(t, open(t, nil), c.data), category, c.want)
		})
	}
}

// sampleBzip2 only begins like a bzip2 stream.
var sampleBzip2 = []byte("BZh91AY&SY-----------------------")

// TestAmbiguousMail scans mails that programs read differently. In each of them clamd 1.4
// or mutt finds the archive.
func TestAmbiguousMail(t *testing.T) {
	b64 := base64.StdEncoding.EncodeToString(build.Zip(t, build.Locked("x")))
	fields := "From: a@example.org\nTo: b@example.org\n"
	mail := func(kinds, encodings string) string {
		return fields + kinds + "\n\n--b\n\nhi\n--b\nContent-Type: application/zip\n" + encodings + "\n\n" + b64 + "\n--b--\n"
	}
	const kind, encoding = "Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: base64"
	const text, none = "Content-Type: text/plain", "Content-Transfer-Encoding: 7bit"
	long := strings.Repeat("c", 900)
	unknown := "X-Pad: " + strings.Repeat("y", 900) + "\nX-Pad: " + strings.Repeat("z", 900) + "\n"
	message := func(inner, encoding string) string {
		return fields + "Content-Type: message/rfc822\nContent-Transfer-Encoding: " + encoding + "\n\n" + inner
	}
	for name, data := range map[string]string{
		"text, multipart":          mail(text+"\n"+kind, encoding),
		"multipart, text":          mail(kind+"\n"+text, encoding),
		"7bit, base64":             mail(kind, none+"\n"+encoding),
		"base64, 7bit":             mail(kind, encoding+"\n"+none),
		"other boundary, boundary": mail("Content-Type: multipart/mixed; boundary=x; boundary=b", encoding),
		"boundary, other boundary": mail(kind+"; boundary=x", encoding),
		"two multiparts":           mail("Content-Type: multipart/mixed; boundary=x\n"+kind, encoding),
		"base64x":                  mail(kind, encoding+"x"),
		"base64 and more":          mail(kind, encoding+" and more"),
		"long boundary":            strings.NewReplacer("=b", "=b"+long, "\n--b", "\n--b"+long).Replace(mail(kind, encoding)),
		"far boundary":             mail("Content-Type: multipart/mixed;"+strings.Repeat("\n x=\""+strings.Repeat("y", 60)+"\";", 200)+"\n boundary=b", encoding),
		"unknown fields first":     unknown + mail(kind, encoding),
		"message in base64":        message(base64.StdEncoding.EncodeToString([]byte(unknown+mail(kind, encoding))), "base64"),
		"message in q-p":           message(strings.ReplaceAll(unknown+mail(kind, encoding), "=", "=3D"), "quoted-printable"),
		"zip called a message":     message(b64, "base64"),
		"begin-base64":             fields + "\nbegin-base64 644 x.zip\n" + b64 + "\n====\n",
		"multipart in base64":      fields + kind + "\n" + encoding + "\n\n" + base64.StdEncoding.EncodeToString([]byte(mail(kind, encoding))),
		"only a longer boundary":   strings.ReplaceAll(mail(kind, encoding), "\n--b\n", "\n--bc\n"),
		"part of a mail":           fields + "Content-Type: message/partial; id=x; number=2; total=2\n\n" + b64,
	} {
		t.Run(name, func(t *testing.T) {
			r := scan(t, open(t, nil), []byte(data))
			switch name {
			case "multipart in base64":
				wantFinding(t, r, backends.Partial, walk.UnscannedCutOff)
			case "only a longer boundary":
				wantFinding(t, r, backends.Partial, walk.UnscannedBroken)
			case "part of a mail":
				wantFinding(t, r, backends.Partial, walk.UnscannedSplit)
			default:
				wantFirst(t, r, backends.Encrypted, walk.FindingZip)
			}
		})
	}
}

// TestLongQuotedPrintable scans an archive in one line of quoted-printable, so that parts
// of the line end at every position within an escape.
func TestLongQuotedPrintable(t *testing.T) {
	archive := build.Zip(t, build.File{Name: "p.bin", Data: bytes.Repeat([]byte{0xe1, ' ', '=', 7}, 3000), Stored: true}, build.Locked("x"))
	var s strings.Builder
	for i, c := range archive {
		if i%5 == 0 && c == ' ' {
			s.WriteByte(' ')
			continue
		}
		s.WriteString("=" + strings.ToUpper(string("0123456789abcdef"[c>>4])+string("0123456789abcdef"[c&15])))
	}
	for n := range 4 {
		data := "From: a@example.org\nContent-Type: application/zip\nContent-Transfer-Encoding: quoted-printable\n\n" +
			strings.Repeat("=\n", n) + s.String() + "\n"
		wantFinding(t, scan(t, open(t, nil), []byte(data)), backends.Encrypted, walk.FindingZip)
	}
}

// TestWideText scans OpenPGP armor in UTF-16.
func TestWideText(t *testing.T) {
	armor := string(sampleFiles(t)["pgp/key.asc"])
	little := strings.Join(strings.Split(build.Paragraphs(3000)+"\n"+armor, ""), "\x00") + "\x00"
	for name, data := range map[string]string{
		"little endian":  "\xff\xfe" + little,
		"no mark":        little,
		"big endian":     "\xfe\xff\x00" + strings.TrimSuffix(little, "\x00"),
		"zeros in it":    "\xff\xfe" + strings.Repeat("\x00", 1<<20) + "\n\x00" + little,
		"attached":       string(build.Attach("x.txt", []byte("\xff\xfe"+little))),
		"text of a mail": "From: a@example.org\nContent-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n\n" + base64.StdEncoding.EncodeToString([]byte(little)),
	} {
		t.Run(name, func(t *testing.T) {
			wantFinding(t, scan(t, open(t, nil), []byte(data)), backends.Encrypted, walk.FindingPGP)
		})
	}
}

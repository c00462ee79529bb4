// Package office inspects Microsoft's compound files: Office 97 to 2003 documents, newer
// ones with a password, and Outlook messages; also RTF and Access databases.
//
// Signs of encryption are a stream EncryptedPackage or DRMContent ([MS-OFFCRYPTO]), the
// encryption flag in a FIB ([MS-DOC]), a FilePass record ([MS-XLS]), the token in a
// CurrentUserAtom ([MS-PPT]), and the key in the first page of an Access database.
//
// It reads compound files itself, because the mscfb library needs gigabytes for deeply
// nested directories.
package office

import (
	"bytes"
	"context"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// Detector inspects compound files ([MS-CFB]), including the attachments of Outlook
// messages.
type Detector struct{}

const signature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(signature))
}

// checks maps the upper-case names of streams that show encryption to their parsers.
// Names are case-insensitive ([MS-CFB] 2.6.4).
var checks = map[string]func(f *file, e entry) string{
	"ENCRYPTEDPACKAGE":   (*file).checkPackage,
	"\tDRMCONTENT":       (*file).checkRights,
	"\tDRMVIEWERCONTENT": (*file).checkRights,
	"WORDDOCUMENT":       (*file).checkWord,
	"WORKBOOK":           (*file).checkExcel,
	"BOOK":               (*file).checkExcel,
	"CURRENT USER":       (*file).checkPowerPoint,
}

// attachmentStream holds the bytes of an attachment in an Outlook message ([MS-OXMSG]
// 2.2.2).
const attachmentStream = "__substg1.0_37010102"

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	f, err := openFile(w, s)
	if err != nil {
		finding := walk.UnscannedBroken
		if s.Size < headerSize {
			finding = walk.UnscannedCutOff
		}
		w.Miss(finding, "ole2: the header is broken")
		return nil, err
	}
	defer f.missed(w)
	seen, _ := f.entries(func(e entry) *walk.Sighting {
		check := checks[strings.ToUpper(e.name)]
		if check == nil {
			return nil
		}
		if how := check(f, e); how != "" {
			return walk.NewSighting(walk.FindingOLE, "ole2", e.name, how)
		}
		return nil
	})
	if seen != nil || w.Stopped() != nil {
		return seen, w.Stopped()
	}
	seen, _ = f.entries(func(e entry) *walk.Sighting {
		if e.kind != stream || e.size < walk.SmallestContainer || w.Stopped() != nil {
			return nil
		}
		if strings.EqualFold(e.name, "PowerPoint Document") {
			if seen := embedded(ctx, w, s, f.open(e)); seen != nil {
				return seen.Within("ole2", e.name)
			}
		}
		from, size := f.open(e), e.size
		if strings.EqualFold(e.name, "\x01Ole10Native") {
			from, size = nativeData(from), -1
		}
		u := w.Decoder(ctx, from)
		if strings.EqualFold(e.name, attachmentStream) {
			u.Attached = func([]byte) bool { return true }
		}
		inner, err := w.Unpacked(s, u, size)
		if err != nil {
			return nil
		}
		return w.Look(ctx, inner).Within("ole2", e.name)
	})
	return seen, w.Stopped()
}

// begin returns up to n bytes from the start of a stream.
func (f *file) begin(e entry, n int) []byte {
	b := make([]byte, n)
	read, _ := io.ReadFull(f.open(e), b)
	return b[:read]
}

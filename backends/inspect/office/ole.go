// Package office knows Microsoft's compound files: Office documents of 97 to 2003,
// newer ones with a password, and messages of Outlook; and RTF and Access. It reads
// compound files itself, because the library for them, mscfb, takes gigabytes for deep
// directories.
package office

import (
	"bytes"
	"context"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/walk"
)

// Detector knows the compound files of Microsoft ([MS-CFB]): Office documents
// of 97 to 2003, newer ones with a password ([MS-OFFCRYPTO]), and messages of
// Outlook with their attachments.
type Detector struct{}

const signature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(signature))
}

// checks are the streams that show encryption, by name in upper case: names are compared
// without regard to case ([MS-CFB] 2.6.4).
var checks = map[string]func(f *file, e entry) string{
	"ENCRYPTEDPACKAGE":   (*file).checkPackage,
	"\tDRMCONTENT":       (*file).checkRights,
	"\tDRMVIEWERCONTENT": (*file).checkRights,
	"WORDDOCUMENT":       (*file).checkWord,
	"WORKBOOK":           (*file).checkExcel,
	"BOOK":               (*file).checkExcel,
	"CURRENT USER":       (*file).checkPowerPoint,
}

// attachmentStream has the bytes of an attachment, in Outlook's messages ([MS-OXMSG]
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

// begin reads the first n bytes of a stream, fewer if it has no more.
func (f *file) begin(e entry, n int) []byte {
	b := make([]byte, n)
	read, _ := io.ReadFull(f.open(e), b)
	return b[:read]
}

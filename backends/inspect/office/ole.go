// Package office knows Microsoft's compound files: Office documents of 97 to 2003,
// newer ones with a password, and messages of Outlook.
package office

import (
	"bytes"
	"context"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Detector knows the compound files of Microsoft ([MS-CFB]): Office documents
// of 97 to 2003, newer ones with a password ([MS-OFFCRYPTO]), and messages of
// Outlook with their attachments.
type Detector struct{}

const oleSignature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(oleSignature))
}

// oleChecks are the streams that tell, by name.
var oleChecks = map[string]func(f *oleFile, e oleEntry) string{
	"EncryptedPackage":   (*oleFile).checkPackage,
	"\tDRMContent":       (*oleFile).checkRights,
	"\tDRMViewerContent": (*oleFile).checkRights,
	"WordDocument":       (*oleFile).checkWord,
	"Workbook":           (*oleFile).checkExcel,
	"Book":               (*oleFile).checkExcel,
	"Current User":       (*oleFile).checkPowerPoint,
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	f, err := openOLE(w, s)
	if err != nil {
		return nil, err
	}
	seen, err := f.entries(func(e oleEntry) *walk.Sighting {
		check := oleChecks[e.name]
		if check == nil {
			return nil
		}
		if how := check(f, e); how != "" {
			return walk.NewSighting(walk.FindingOLE, "ole2", e.name, how)
		}
		return nil
	})
	if seen != nil || err != nil {
		return seen, err
	}
	return f.entries(func(e oleEntry) *walk.Sighting {
		if e.size < walk.SmallestContainer || w.Stopped() != nil {
			return nil
		}
		inner, err := w.Unpacked(s, w.Decoder(ctx, f.open(e)), e.size)
		if err != nil {
			return nil
		}
		return w.Look(ctx, inner).Within("ole2", e.name)
	})
}

// begin reads the first n bytes of a stream, fewer if it has no more.
func (f *oleFile) begin(e oleEntry, n int) []byte {
	b := make([]byte, n)
	read, _ := io.ReadFull(f.open(e), b)
	return b[:read]
}

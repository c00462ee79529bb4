package inspect

import (
	"bytes"
	"context"
	"io"
)

// oleDetector knows the compound files of Microsoft ([MS-CFB]): Office documents
// of 97 to 2003, newer ones with a password ([MS-OFFCRYPTO]), and messages of
// Outlook with their attachments.
type oleDetector struct{}

const oleSignature = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

// match implements detector.
func (oleDetector) match(w *walk, s *section) bool {
	return bytes.HasPrefix(s.head, []byte(oleSignature))
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

// look implements detector.
func (oleDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	f, err := openOLE(w, s)
	if err != nil {
		return nil, err
	}
	seen, err := f.entries(func(e oleEntry) *sighting {
		check := oleChecks[e.name]
		if check == nil {
			return nil
		}
		if how := check(f, e); how != "" {
			return newSighting(findingOLE, "ole2", e.name, how)
		}
		return nil
	})
	if seen != nil || err != nil {
		return seen, err
	}
	return f.entries(func(e oleEntry) *sighting {
		if e.size < smallestContainer || w.stop != nil {
			return nil
		}
		inner, err := w.unpacked(s, w.decoder(ctx, f.open(e)), e.size)
		if err != nil {
			return nil
		}
		return w.look(ctx, inner).within("ole2", e.name)
	})
}

// begin reads the first n bytes of a stream, fewer if it has no more.
func (f *oleFile) begin(e oleEntry, n int) []byte {
	b := make([]byte, n)
	read, _ := io.ReadFull(f.open(e), b)
	return b[:read]
}

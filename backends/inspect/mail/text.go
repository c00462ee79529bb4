package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/transfer"
	"polyclam/backends/inspect/internal/walk"
	"polyclam/backends/inspect/pgp"
	"polyclam/backends/inspect/smime"
)

// Text finds encrypted data in text: OpenPGP armor, PEM, age files, and uuencoded
// attachments.
type Text struct{}

// The beginnings of lines that introduce such data.
var (
	armorBegin = []byte("-----BEGIN PGP MESSAGE")
	pemBegins  = [][]byte{[]byte("-----BEGIN PKCS7-----"), []byte("-----BEGIN CMS-----"), []byte("-----BEGIN PKCS #7 SIGNED DATA-----")}
	ageBegin   = []byte("-----BEGIN AGE ENCRYPTED FILE-----")
)

// Match implements [walk.Detector]. If nothing begins in the head, it reads further,
// unless that requires unpacking.
func (Text) Match(w *walk.Walk, s *walk.Section) bool {
	if isMail(w, s) {
		return false
	}
	// The mail detector reads text attachments.
	return beginsInHead(s.Head) ||
		s.ReaderAt != nil && !s.Attached && s.Depth < w.Limits.MaxDepth && len(s.Head) == walk.HeadSize && looksLikeText(s.Head)
}

func beginsInHead(head []byte) bool {
	if isWide(head) {
		head = narrowed(bytes.Clone(head))
	}
	for rest := head; len(rest) > 0; {
		if _, ok := textBegin(rest); ok {
			return true
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 {
			break
		}
		rest = rest[i+1:]
	}
	return false
}

// looksLikeText reports whether head contains only bytes that occur in text.
func looksLikeText(head []byte) bool {
	if isWide(head) {
		return true
	}
	for _, c := range head {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b {
			return false
		}
	}
	return true
}

// Look implements [walk.Detector].
func (Text) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	size := s.Size
	if !beginsInHead(s.Head) {
		// Text is frequent and mostly contains nothing. It must not use up the budget
		// of other members.
		const most = 1 << 20
		if s.Depth > 0 {
			size = min(size, most)
		}
		size = max(0, min(size, w.BytesLeft()-w.Limits.MaxBytes/2))
	}
	return newText(ctx, w, s, s.Head).scan(io.NewSectionReader(s, 0, size)), w.Stopped()
}

// textReader searches text.
type textReader struct {
	ctx     context.Context // lives as long as the scan
	walk    *walk.Walk
	section *walk.Section // the text, or the container it is in
	lines   *bufio.Reader
	decoder transfer.Base64 // for the current armor
	wide    bool            // the text is UTF-16
}

// newText prepares to search text that begins with head and is s or part of s.
func newText(ctx context.Context, w *walk.Walk, s *walk.Section, head []byte) *textReader {
	return &textReader{ctx: ctx, walk: w, section: s, wide: isWide(head)}
}

// textKind inspects what a line introduces.
type textKind func(r *textReader, line []byte) *walk.Sighting

// textBegin returns what a line introduces. It may follow a byte order mark or an HTML tag.
func textBegin(line []byte) (textKind, bool) {
	if i := bytes.Index(line[:min(len(line), 512)], []byte("-----BEGIN ")); i > 0 {
		before := bytes.TrimSpace(bytes.TrimPrefix(line[:i], []byte("\xef\xbb\xbf")))
		if len(before) == 0 || before[len(before)-1] == '>' {
			line = line[i:]
		}
	}
	if len(line) < 8 || line[0] != '-' && line[0] != 'b' {
		return nil, false
	}
	switch {
	case bytes.HasPrefix(line, armorBegin):
		return (*textReader).armor, true
	case bytes.HasPrefix(line, ageBegin):
		return func(*textReader, []byte) *walk.Sighting {
			return walk.NewSighting(walk.FindingPrefix+"Age", "age", "", "encrypted file, armored")
		}, true
	case transfer.UUName(line) != "":
		return (*textReader).uuencoded, true
	case transfer.Base64Name(line) != "":
		return (*textReader).uuencoded, true
	}
	for _, p := range pemBegins {
		if bytes.HasPrefix(line, p) {
			return (*textReader).pem, true
		}
	}
	return nil, false
}

// scan searches r line by line.
func (t *textReader) scan(r io.Reader) *walk.Sighting {
	if t.wide {
		r = narrow{r}
	}
	t.lines = bufio.NewReaderSize(r, 1024)
	begins := true
	for {
		line, err := t.lines.ReadSlice('\n')
		if kind, ok := textBegin(line); ok && begins {
			if seen := kind(t, line); seen != nil {
				return seen
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) || t.walk.Stopped() != nil {
			return nil
		}
		begins = err == nil
	}
}

// maxArmor is how much armored data is inspected: enough for the first packet.
const maxArmor = 1024

// armor inspects the beginning of an OpenPGP message.
func (t *textReader) armor([]byte) *walk.Sighting {
	b := t.base64()
	for range pgp.MaxPackets {
		p, ok := pgp.ReadPacket(b)
		if !ok {
			return nil
		}
		if p.Tag != pgp.Marker {
			if !p.IsEncrypted(b[p.Header:]) {
				return nil
			}
			return walk.NewSighting(walk.FindingPGP, "pgp armor", "", pgp.How(p.Tag))
		}
		b = b[min(int64(len(b)), int64(p.Header)+p.Size):]
	}
	return nil
}

// pem inspects the beginning of a CMS message.
func (t *textReader) pem([]byte) *walk.Sighting {
	b := t.base64()
	if how := smime.Encryption(b); how != "" {
		return walk.NewSighting(walk.FindingSMIME, "smime pem", "", how)
	}
	if !smime.Wraps(b) {
		return nil
	}
	done := false
	rest := &transfer.Lines{Decode: t.decoder.Decode, Next: func() ([]byte, error) {
		if done {
			return nil, io.EOF
		}
		line, err := t.lines.ReadSlice('\n')
		if done = err != nil && !errors.Is(err, bufio.ErrBufferFull) || bytes.HasPrefix(line, []byte("-----")); done {
			line = nil
		}
		return line, nil
	}}
	inner, err := t.walk.Unpacked(t.section, t.walk.Decoder(t.ctx, io.MultiReader(bytes.NewReader(b), rest)), -1)
	if err != nil {
		return nil
	}
	return t.walk.Look(t.ctx, inner).Within("pem", "")
}

// base64 decodes the following base64 lines, after up to maxHeaders other lines.
func (t *textReader) base64() []byte {
	const maxHeaders = 64
	t.decoder = transfer.Base64{}
	var b []byte
	headers := 0
	for len(b) < maxArmor {
		line, err := t.lines.ReadSlice('\n')
		if i := bytes.IndexByte(line, '<'); i > 0 {
			line = line[:i] // an HTML tag
		}
		line = bytes.TrimSpace(line)
		if isBase64(line) {
			b = t.decoder.Decode(b, line)
		} else if headers++; len(b) > 0 || headers > maxHeaders || bytes.HasPrefix(line, []byte("-----")) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	return b
}

// isBase64 reports whether a line is all base64.
func isBase64(line []byte) bool {
	for _, c := range line {
		if transfer.Base64Values[c] > 63 && c != '=' {
			return false
		}
	}
	return len(line) > 0
}

// uuencoded inspects an attachment.
func (t *textReader) uuencoded(line []byte) *walk.Sighting {
	name, decode, end := transfer.UUName(line), transfer.UU, []byte("end")
	if name == "" {
		name, decode, end = transfer.Base64Name(line), new(transfer.Base64).Decode, []byte("====")
	}
	done := false
	r := &transfer.Lines{Decode: decode, Next: func() ([]byte, error) {
		if done {
			return nil, io.EOF
		}
		line, err := t.lines.ReadSlice('\n')
		done = err != nil && !errors.Is(err, bufio.ErrBufferFull) || bytes.HasPrefix(line, end)
		if done {
			line = nil
		}
		return line, nil
	}}
	inner, err := t.walk.Unpacked(t.section, t.walk.Decoder(t.ctx, r), -1)
	if err != nil {
		return nil
	}
	return t.walk.Look(t.ctx, inner).Within("uuencode", name)
}

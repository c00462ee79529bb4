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

// Text knows what is encrypted in texts: OpenPGP's armor and PEM, and
// attachments of the kind that was before MIME, by uuencode.
type Text struct{}

// The lines that such things begin with.
var (
	armorBegin = []byte("-----BEGIN PGP MESSAGE")
	pemBegins  = [][]byte{[]byte("-----BEGIN PKCS7-----"), []byte("-----BEGIN CMS-----"), []byte("-----BEGIN PKCS #7 SIGNED DATA-----")}
	ageBegin   = []byte("-----BEGIN AGE ENCRYPTED FILE-----")
)

// Match implements [walk.Detector].
func (Text) Match(w *walk.Walk, s *walk.Section) bool {
	if looksLikeMail(s.Head, s.Depth) {
		return false // it is read as a mail
	}
	for rest := s.Head; len(rest) > 0; {
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

// Look implements [walk.Detector].
func (Text) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	r := &textReader{ctx: ctx, walk: w, section: s}
	return r.scan(io.NewSectionReader(s, 0, s.Size)), w.Stopped()
}

// textReader looks through a text.
type textReader struct {
	ctx     context.Context // see meter
	walk    *walk.Walk
	section *walk.Section // the text, or what it is in
	lines   *bufio.Reader
}

// textKind is what a line begins.
type textKind func(r *textReader, line []byte) *walk.Sighting

// textBegin says what begins with a line.
func textBegin(line []byte) (textKind, bool) {
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
	}
	for _, p := range pemBegins {
		if bytes.HasPrefix(line, p) {
			return (*textReader).pem, true
		}
	}
	return nil, false
}

// scan looks through r line by line.
func (t *textReader) scan(r io.Reader) *walk.Sighting {
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

// maxArmor is how much of what is in armor is looked at: the first packet.
const maxArmor = 1024

// armor reads the beginning of an OpenPGP message.
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

// pem reads the beginning of a CMS message.
func (t *textReader) pem([]byte) *walk.Sighting {
	how := smime.Encryption(t.base64())
	if how == "" {
		return nil
	}
	return walk.NewSighting(walk.FindingSMIME, "smime pem", "", how)
}

// base64 decodes the lines of base64 that follow, behind up to so many of
// another header.
func (t *textReader) base64() []byte {
	const maxHeaders = 64
	var d transfer.Base64
	var b []byte
	headers := 0
	for len(b) < maxArmor {
		line, err := t.lines.ReadSlice('\n')
		line = bytes.TrimSpace(line)
		if isBase64(line) {
			b = d.Decode(b, line)
		} else if headers++; len(b) > 0 || headers > maxHeaders || bytes.HasPrefix(line, []byte("-----")) {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			break
		}
	}
	return b
}

// isBase64 reports whether a line is nothing else.
func isBase64(line []byte) bool {
	for _, c := range line {
		if transfer.Base64Values[c] > 63 && c != '=' {
			return false
		}
	}
	return len(line) > 0
}

// uuencoded looks into an attachment.
func (t *textReader) uuencoded(line []byte) *walk.Sighting {
	name := transfer.UUName(line)
	done := false
	r := &transfer.Lines{Decode: transfer.UU, Next: func() ([]byte, error) {
		if done {
			return nil, io.EOF
		}
		line, err := t.lines.ReadSlice('\n')
		done = err != nil && !errors.Is(err, bufio.ErrBufferFull) || bytes.HasPrefix(line, []byte("end"))
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

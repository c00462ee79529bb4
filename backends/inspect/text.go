package inspect

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
)

// textDetector knows what is encrypted in texts: OpenPGP's armor and PEM, and
// attachments of the kind that was before MIME, by uuencode.
type textDetector struct{}

// The lines that such things begin with.
var (
	armorBegin = []byte("-----BEGIN PGP MESSAGE")
	pemBegins  = [][]byte{[]byte("-----BEGIN PKCS7-----"), []byte("-----BEGIN CMS-----"), []byte("-----BEGIN PKCS #7 SIGNED DATA-----")}
	ageBegin   = []byte("-----BEGIN AGE ENCRYPTED FILE-----")
)

// match implements detector.
func (textDetector) match(w *walk, s *section) bool {
	if looksLikeMail(s.head, s.depth) {
		return false // it is read as a mail
	}
	for rest := s.head; len(rest) > 0; {
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

// look implements detector.
func (textDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	r := &textReader{ctx: ctx, walk: w, section: s}
	return r.scan(io.NewSectionReader(s, 0, s.size)), w.stop
}

// textReader looks through a text.
type textReader struct {
	ctx     context.Context // see meter
	walk    *walk
	section *section // the text, or what it is in
	lines   *bufio.Reader
}

// textKind is what a line begins.
type textKind func(r *textReader, line []byte) *sighting

// textBegin says what begins with a line.
func textBegin(line []byte) (textKind, bool) {
	if len(line) < 8 || line[0] != '-' && line[0] != 'b' {
		return nil, false
	}
	switch {
	case bytes.HasPrefix(line, armorBegin):
		return (*textReader).armor, true
	case bytes.HasPrefix(line, ageBegin):
		return func(*textReader, []byte) *sighting {
			return newSighting(findingPrefix+"Age", "age", "", "encrypted file, armored")
		}, true
	case uuName(line) != "":
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
func (t *textReader) scan(r io.Reader) *sighting {
	t.lines = bufio.NewReaderSize(r, 1024)
	begins := true
	for {
		line, err := t.lines.ReadSlice('\n')
		if kind, ok := textBegin(line); ok && begins {
			if seen := kind(t, line); seen != nil {
				return seen
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) || t.walk.stop != nil {
			return nil
		}
		begins = err == nil
	}
}

// maxArmor is how much of what is in armor is looked at: the first packet.
const maxArmor = 1024

// armor reads the beginning of an OpenPGP message.
func (t *textReader) armor([]byte) *sighting {
	b := t.base64()
	for range maxPGPPackets {
		p, ok := readPGPPacket(b)
		if !ok {
			return nil
		}
		if p.tag != pgpMarker {
			if !p.isEncrypted(b[p.header:]) {
				return nil
			}
			return newSighting(findingPGP, "pgp armor", "", pgpHow(p.tag))
		}
		b = b[min(int64(len(b)), int64(p.header)+p.size):]
	}
	return nil
}

// pem reads the beginning of a CMS message.
func (t *textReader) pem([]byte) *sighting {
	how := cmsEncryption(t.base64())
	if how == "" {
		return nil
	}
	return newSighting(findingSMIME, "smime pem", "", how)
}

// base64 decodes the lines of base64 that follow, behind up to so many of
// another header.
func (t *textReader) base64() []byte {
	const maxHeaders = 64
	var d base64Decoder
	var b []byte
	headers := 0
	for len(b) < maxArmor {
		line, err := t.lines.ReadSlice('\n')
		line = bytes.TrimSpace(line)
		if isBase64(line) {
			b = d.decode(b, line)
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
		if base64Values[c] > 63 && c != '=' {
			return false
		}
	}
	return len(line) > 0
}

// uuName returns the name in a line that begins an attachment: "begin 644 NAME".
func uuName(line []byte) string {
	rest, ok := bytes.CutPrefix(line, []byte("begin "))
	if !ok || len(rest) < 5 {
		return ""
	}
	mode := bytes.IndexByte(rest, ' ')
	if mode != 3 && mode != 4 {
		return ""
	}
	for _, c := range rest[:mode] {
		if c < '0' || c > '7' {
			return ""
		}
	}
	name := bytes.TrimSpace(rest[mode:min(len(rest), mode+maxName)])
	return string(name)
}

// uuencoded looks into an attachment.
func (t *textReader) uuencoded(line []byte) *sighting {
	name := uuName(line)
	done := false
	r := &lineDecoder{decode: decodeUU, next: func() ([]byte, error) {
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
	inner, err := t.walk.unpacked(t.section, t.walk.decoder(t.ctx, r), -1)
	if err != nil {
		return nil
	}
	return t.walk.look(t.ctx, inner).within("uuencode", name)
}

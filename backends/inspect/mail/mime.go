package mail

import (
	"bytes"
	"mime"
	"strings"

	"polyclam/backends/inspect/internal/transfer"
	"polyclam/backends/inspect/internal/walk"
)

// Bounds of one header.
const (
	maxMailField  = 4 << 10 // kept of a field
	maxMailHeader = 4 << 20 // bytes read
)

// mailHeader is what a header says about its body.
type mailHeader struct {
	kind       string // such as text/plain, in lower case
	parameters map[string]string
	encoding   string // lower case; empty for those that change nothing
	name       string // of an attachment
}

// header reads a header, to the empty line or a boundary.
func (m *mail) header() mailHeader {
	var kind, encoding, disposition []byte
	var field *[]byte
	start := m.read
	for m.read-start < maxMailHeader {
		begins := !m.middle
		line, err := m.body()
		if err != nil {
			break
		}
		text := bytes.TrimRight(line, "\r\n")
		if begins && len(text) == 0 {
			break
		}
		if begins && text[0] != ' ' && text[0] != '\t' {
			name, value, _ := bytes.Cut(text, []byte(":"))
			field = nil
			for key, f := range map[string]*[]byte{"content-type": &kind, "content-transfer-encoding": &encoding, "content-disposition": &disposition} {
				if *f == nil && strings.EqualFold(string(bytes.TrimSpace(name[:min(len(name), 64)])), key) {
					field = f
				}
			}
			text = value
		}
		if field != nil && len(*field) < maxMailField {
			*field = append(append(*field, ' '), text[:min(len(text), maxMailField)]...)
		}
	}
	return newMailHeader(string(kind), string(encoding), string(disposition))
}

func newMailHeader(kind, encoding, disposition string) mailHeader {
	var h mailHeader
	h.kind, h.parameters = mediaType(kind)
	_, d := mediaType(disposition)
	h.name = d["filename"]
	if h.name == "" {
		h.name = h.parameters["name"]
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(h.name); err == nil {
		h.name = decoded
	}
	h.encoding, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(encoding)), ";")
	switch h.encoding {
	case "7bit", "8bit", "binary":
		h.encoding = ""
	}
	return h
}

// mediaType reads a type with parameters. What the standard library cannot read
// is searched for what matters.
func mediaType(value string) (string, map[string]string) {
	kind, parameters, err := mime.ParseMediaType(value)
	if err == nil {
		return kind, parameters
	}
	kind, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	parameters = make(map[string]string)
	for _, p := range strings.Split(rest, ";") {
		key, value, ok := strings.Cut(p, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, again := parameters[key]; ok && !again {
			parameters[key] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return kind, parameters
}

// boundary returns that of a multipart, or nothing.
func (h *mailHeader) boundary() string {
	if !strings.HasPrefix(h.kind, "multipart/") {
		return ""
	}
	return walk.Cut(strings.TrimRight(h.parameters["boundary"], " \t"), 256)
}

func (h *mailHeader) isMessage() bool {
	return h.kind == "message/rfc822" || h.kind == "message/global" || h.kind == "message/news"
}

// isText reports whether the body may be read as a text. Mails without MIME are.
func (h *mailHeader) isText() bool { return h.kind == "" || strings.HasPrefix(h.kind, "text/") }

// encrypted says what the header alone tells.
func (h *mailHeader) encrypted() *walk.Sighting {
	switch h.kind {
	case "multipart/encrypted":
		protocol := strings.ToLower(h.parameters["protocol"])
		if protocol == "application/pgp-encrypted" {
			return walk.NewSighting(walk.FindingPGP, "mail", h.name, "multipart/encrypted")
		}
		return walk.NewSighting(walk.FindingMail, "mail", h.name, "multipart/encrypted")
	case "application/pkcs7-mime", "application/x-pkcs7-mime":
		how := strings.ToLower(h.parameters["smime-type"])
		if how == "enveloped-data" || how == "authenveloped-data" {
			return walk.NewSighting(walk.FindingSMIME, "mail", h.name, how)
		}
	}
	return nil
}

// decoder returns what undoes the transfer encoding.
func (h *mailHeader) decoder() func(dst, line []byte) []byte {
	switch h.encoding {
	case "base64":
		return new(transfer.Base64).Decode
	case "quoted-printable":
		return transfer.QuotedPrintable
	case "x-uuencode", "x-uue", "uuencode", "uue":
		d := uuBodyDecoder{}
		return d.decode
	}
	return transfer.Nothing
}

// uuBodyDecoder decodes a body between its begin and end lines.
type uuBodyDecoder struct{ state int }

func (d *uuBodyDecoder) decode(dst, line []byte) []byte {
	switch {
	case d.state == 0 && transfer.UUName(line) != "":
		d.state = 1
	case d.state == 1 && bytes.HasPrefix(line, []byte("end")):
		d.state = 2
	case d.state == 1:
		return transfer.UU(dst, line)
	}
	return dst
}

package mail

import (
	"bytes"
	"mime"
	"slices"
	"strings"

	"polyclam/backends/inspect/internal/transfer"
	"polyclam/backends/inspect/internal/walk"
)

// Limits of one header.
const (
	maxField  = 64 << 10 // bytes of one field
	maxHeader = 4 << 20  // bytes of all fields
	maxTwice  = 8        // fields with the same name
)

// header is what a header says about its body.
type header struct {
	kind       string // such as text/plain, in lower case
	parameters map[string]string
	boundaries []string // of a multipart; several where programs may disagree
	encoding   string   // in lower case; empty for 7bit, 8bit and binary
	name       string   // of the attachment
	ambiguous  bool     // programs may disagree about the type or the encoding
}

// fields collects all values of the relevant fields of a header.
type fields struct{ kinds, encodings, dispositions [][]byte }

// begin returns where to store the value of a field, or nil if it is irrelevant.
func (f *fields) begin(name []byte) *[]byte {
	var all *[][]byte
	switch strings.ToLower(string(bytes.TrimSpace(name[:min(len(name), 64)]))) {
	case "content-type":
		all = &f.kinds
	case "content-transfer-encoding":
		all = &f.encodings
	case "content-disposition":
		all = &f.dispositions
	}
	if all == nil || len(*all) == maxTwice {
		return nil
	}
	*all = append(*all, nil)
	return &(*all)[len(*all)-1]
}

// header reads a header up to the empty line or a boundary.
func (m *message) header() header {
	var f fields
	var field *[]byte
	start := m.read
	for {
		if m.read-start >= maxHeader {
			m.walk.Miss(walk.UnscannedBroken, "mail: a header is too long")
			break
		}
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
			field = f.begin(name)
			text = value
		}
		if field == nil {
			continue
		}
		if len(*field)+len(text) > maxField {
			m.walk.Miss(walk.UnscannedBroken, "mail: a field is too long")
			field = nil
			continue
		}
		*field = append(append(*field, ' '), text...)
	}
	h := f.header()
	if h.ambiguous {
		m.walk.Miss(walk.UnscannedBroken, "mail: a header has two types or encodings")
	}
	return h
}

// header evaluates the fields. If a field is repeated, programs use the first or the last
// one; this package uses the one that reveals more.
func (f *fields) header() (h header) {
	for i, value := range f.kinds {
		value := stripComments(string(value))
		kind, parameters := mediaType(value)
		if i == 0 || rank(kind) > rank(h.kind) {
			h.kind, h.parameters = kind, parameters
		}
		h.ambiguous = h.ambiguous || kind != h.kind
		h.addBoundaries(kind, parameters, value)
	}
	h.ambiguous = h.ambiguous && rank(h.kind) > 0
	for i, value := range f.encodings {
		encoding := encodingOf(string(value))
		h.ambiguous = h.ambiguous || i > 0 && encoding != h.encoding
		if h.encoding == "" {
			h.encoding = encoding
		}
	}
	for _, value := range f.dispositions {
		if _, d := mediaType(stripComments(string(value))); h.name == "" {
			h.name = d["filename"]
		}
	}
	if h.name == "" {
		h.name = h.parameters["name"]
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(h.name); err == nil {
		h.name = decoded
	}
	return h
}

// rank orders types by how much they reveal.
func rank(kind string) int {
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		return 2
	case strings.HasPrefix(kind, "message/"):
		return 1
	}
	return 0
}

// addBoundaries adds the boundaries of a type, all of them if there are several.
func (h *header) addBoundaries(kind string, parameters map[string]string, value string) {
	if !strings.HasPrefix(kind, "multipart/") {
		return
	}
	all := []string{parameters["boundary"]}
	for _, p := range splitQuoted(value) {
		if key, v, ok := strings.Cut(p, "="); ok && strings.EqualFold(strings.TrimSpace(key), "boundary") {
			all = append(all, strings.Trim(strings.TrimSpace(v), `"`))
		}
	}
	for _, b := range all {
		b = strings.TrimRight(b, " \t")
		if b != "" && len(h.boundaries) < maxTwice && !slices.Contains(h.boundaries, b) {
			h.boundaries = append(h.boundaries, b)
		}
	}
}

// encodings lists the encodings that transform the body. Programs compare only the
// beginning.
var encodings = []string{"base64", "quoted-printable", "x-uu", "uu"}

// encodingOf returns the encoding that a field names, or "".
func encodingOf(value string) string {
	value = strings.ToLower(strings.Trim(stripComments(value), "\" \t"))
	for _, e := range encodings {
		if strings.HasPrefix(value, e) {
			return e
		}
	}
	return ""
}

// mediaType parses a type with parameters. If the standard library rejects it, a lenient
// parser extracts what it can.
func mediaType(value string) (string, map[string]string) {
	kind, parameters, err := mime.ParseMediaType(value)
	if err == nil {
		return kind, parameters
	}
	kind, rest, _ := strings.Cut(value, ";")
	kind = strings.ToLower(strings.TrimSpace(kind))
	parameters = make(map[string]string)
	for _, p := range splitQuoted(rest) {
		key, value, ok := strings.Cut(p, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if _, again := parameters[key]; ok && !again {
			parameters[key] = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	return kind, parameters
}

// splitQuoted splits at semicolons outside quotes. An unterminated quote is ignored.
func splitQuoted(value string) []string {
	var parts []string
	quoted, start := false, 0
	for i := range len(value) {
		switch {
		case value[i] == '"':
			quoted = !quoted && strings.Contains(value[i+1:], "\"")
		case value[i] == ';' && !quoted:
			parts = append(parts, value[start:i])
			start = i + 1
		}
	}
	return append(parts, value[start:])
}

// stripComments removes RFC 5322 comments, which may nest and contain backslash escapes.
// It keeps an unterminated comment.
func stripComments(value string) string {
	if !strings.Contains(value, "(") {
		return value
	}
	var out []byte
	depth, quoted := 0, false
	for i := 0; i < len(value); i++ {
		c := value[i]
		switch {
		case c == '\\' && i+1 < len(value) && (quoted || depth > 0):
			if depth == 0 {
				out = append(out, c, value[i+1])
			}
			i++
			continue
		case c == '"' && depth == 0:
			quoted = !quoted
		case c == '(' && !quoted:
			depth++
			continue
		case c == ')' && depth > 0:
			depth--
			continue
		}
		if depth == 0 {
			out = append(out, c)
		}
	}
	if depth > 0 {
		return value
	}
	return string(out)
}

func (h *header) isMessage() bool {
	return h.kind == "message/rfc822" || h.kind == "message/global" || h.kind == "message/news"
}

// isText reports whether the body may be read as text, as in messages without MIME.
func (h *header) isText() bool { return h.kind == "" || strings.HasPrefix(h.kind, "text/") }

// encrypted reports encryption that is visible in the header alone.
func (h *header) encrypted() *walk.Sighting {
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

// decoder returns the decoder for the transfer encoding.
func (h *header) decoder() func(dst, line []byte) []byte {
	switch h.encoding {
	case "base64":
		return new(transfer.Base64).Decode
	case "quoted-printable":
		return new(transfer.QuotedPrintable).Decode
	case "x-uu", "uu":
		d := uuBodyDecoder{}
		return d.decode
	}
	return transfer.Identity
}

// uuBodyDecoder decodes the lines between begin and end.
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

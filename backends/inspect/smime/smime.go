// Package smime recognises CMS messages (RFC 5652, RFC 5083), which S/MIME puts into mails.
// A message is encrypted if its content type is enveloped, encrypted, or authenticated
// enveloped data; signed and compressed data is unwrapped. encoding/asn1 is not used,
// because it cannot read BER or partial messages.
package smime

import (
	"bytes"
	"context"

	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises CMS messages in DER or BER.
type Detector struct{}

// types are the encoded object identifiers of the encrypted content types.
var types = []struct{ oid, how string }{
	{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", "enveloped data"},
	{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x04", "signed and enveloped data"},
	{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x06", "encrypted data"},
	{"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", "authenticated enveloped data"},
}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return Encryption(s.Head) != "" || Wraps(s.Head)
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	if how := Encryption(s.Head); how != "" {
		return walk.NewSighting(walk.FindingSMIME, "smime", "", how), nil
	}
	return lookWithin(ctx, w, s, wrapping(s.Head))
}

// Wraps reports whether a ContentInfo may contain another message because it is signed or
// compressed.
func Wraps(b []byte) bool { return wrapping(b) != "" }

func wrapping(b []byte) string {
	rest, ok := derHeader(b, tagSequence)
	for _, oid := range []string{oidSigned, oidCompressed} {
		if ok && bytes.HasPrefix(rest, []byte(oid)) {
			return oid
		}
	}
	return ""
}

// Encryption returns how a ContentInfo is encrypted: a sequence that begins with one of the
// types, followed by tagged content.
func Encryption(b []byte) string {
	rest, ok := derHeader(b, 0x30)
	if !ok {
		return ""
	}
	for _, t := range types {
		if content, ok := bytes.CutPrefix(rest, []byte(t.oid)); ok {
			if content, ok = derHeader(content, 0xa0); ok && len(content) > 1 && content[0] == 0x30 {
				return t.how
			}
		}
	}
	return ""
}

// derHeader skips a tag and its length, definite or indefinite.
func derHeader(b []byte, tag byte) ([]byte, bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, false
	}
	n := int(b[1])
	b = b[2:]
	switch {
	case n <= 0x80: // the short form, or indefinite
		return b, true
	case n > 0x88 || len(b) < n-0x80:
		return nil, false
	}
	return b[n-0x80:], true
}

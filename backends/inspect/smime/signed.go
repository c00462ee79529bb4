package smime

import (
	"context"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// The object identifiers of signed and compressed data, which contain a message in an
// OCTET STRING; in BER it is often split into parts.
const (
	oidSigned     = "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
	oidCompressed = "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09"
)

var errBER = errors.New("broken BER")

// The tags on the way to the content.
const (
	tagOctets      = 0x04
	tagOctetsParts = 0x24
	tagSequence    = 0x30
	tagContent     = 0xa0
)

// element is the header of an element.
type element struct {
	tag  byte
	body int64
	size int64 // of the body, negative if indefinite
}

// berReader reads elements from a section.
type berReader struct {
	section *walk.Section
	budget  int // how many more elements may be read
}

// element reads the header at offset at.
func (r *berReader) element(at int64) (element, error) {
	r.budget--
	var b [10]byte
	n := min(int64(len(b)), r.section.Size-at)
	if r.budget < 0 || at < 0 || n < 2 {
		return element{}, errBER
	}
	if err := walk.ReadFull(r.section, b[:n], at); err != nil {
		return element{}, err
	}
	e := element{tag: b[0], body: at + 2, size: int64(b[1])}
	if e.tag&0x1f == 0x1f {
		return e, errBER // a long tag, none of those above
	}
	if b[1] < 0x80 {
		return e, nil
	}
	if b[1] == 0x80 {
		e.size = -1
		return e, nil
	}
	length := int64(b[1] & 0x7f)
	if length > 8 || 2+length > n {
		return e, errBER
	}
	e.size = 0
	for _, c := range b[2 : 2+length] {
		if e.size > 1<<54 {
			return e, errBER
		}
		e.size = e.size<<8 | int64(c)
	}
	e.body += length
	return e, nil
}

// enter returns the offset of the body of the element at offset at, which must have this
// tag.
func (r *berReader) enter(at int64, tag byte) (int64, error) {
	e, err := r.element(at)
	if err == nil && e.tag != tag {
		err = errBER
	}
	return e.body, err
}

// skip returns the offset of the element that follows the one at offset at.
func (r *berReader) skip(at int64, depth int) (int64, error) {
	e, err := r.element(at)
	if err != nil || depth > 32 {
		return 0, errBER
	}
	if e.size >= 0 {
		return e.body + e.size, nil
	}
	for at = e.body; ; {
		if e, err = r.element(at); err != nil {
			return 0, err
		}
		if e.tag == 0 && e.size == 0 {
			return e.body, nil
		}
		if at, err = r.skip(at, depth+1); err != nil {
			return 0, err
		}
	}
}

// content locates the content of signed data. It reports false if the signature is
// detached.
func (r *berReader) content(oid string) (e element, ok bool, err error) {
	at, err := r.enter(0, tagSequence)
	if err != nil {
		return e, false, err
	}
	at += int64(len(oid))
	for _, tag := range []byte{tagContent, tagSequence} {
		if at, err = r.enter(at, tag); err != nil {
			return e, false, err
		}
	}
	for range 2 { // version, algorithms
		if at, err = r.skip(at, 0); err != nil {
			return e, false, err
		}
	}
	if at, err = r.enter(at, tagSequence); err != nil {
		return e, false, err
	}
	if at, err = r.skip(at, 0); err != nil { // type
		return e, false, err
	}
	if e, err = r.element(at); err != nil || e.tag != tagContent {
		return e, false, err
	}
	e, err = r.element(e.body)
	return e, e.tag == tagOctets || e.tag == tagOctetsParts, err
}

// lookWithin inspects signed data, or compressed data (RFC 3274), which has the same
// structure.
func lookWithin(ctx context.Context, w *walk.Walk, s *walk.Section, oid string) (*walk.Sighting, error) {
	const elements = 1000
	r := &berReader{section: s, budget: elements}
	e, ok, err := r.content(oid)
	if err != nil || !ok {
		return nil, err
	}
	end := e.body + e.size
	if e.size < 0 {
		end = s.Size
	}
	var from io.Reader = &partsReader{ber: r, at: e.body, end: end}
	if e.tag == tagOctets {
		from = io.NewSectionReader(s, e.body, e.size)
	}
	u := w.Decoder(ctx, from)
	if oid == oidCompressed {
		const zlibHeader = 2
		if _, err := io.CopyN(io.Discard, from, zlibHeader); err != nil {
			return nil, err
		}
		u = w.Inflater(ctx, from)
	}
	inner, err := w.Unpacked(s, u, -1)
	if err != nil {
		return nil, err
	}
	return w.Look(ctx, inner).Within("smime", ""), nil
}

// partsReader reads an OCTET STRING in parts.
type partsReader struct {
	ber     *berReader
	at, end int64
	left    int64 // bytes left in the current part
	depth   int   // parts may nest
}

// Read implements [io.Reader].
func (r *partsReader) Read(p []byte) (int, error) {
	for r.left == 0 {
		if r.at >= r.end {
			return 0, io.EOF
		}
		r.ber.budget = 2
		e, err := r.ber.element(r.at)
		if err != nil {
			return 0, err
		}
		switch {
		case e.tag == tagOctetsParts:
			r.depth++
		case e.tag == 0 && r.depth > 0:
			r.depth--
		case e.tag != tagOctets || e.size < 0:
			return 0, io.EOF
		default:
			r.left = e.size
		}
		r.at = e.body
	}
	n := min(int64(len(p)), r.left, r.ber.section.Size-r.at)
	if n <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	if err := walk.ReadFull(r.ber.section, p[:n], r.at); err != nil {
		return 0, err
	}
	r.at, r.left = r.at+n, r.left-n
	return int(n), nil
}

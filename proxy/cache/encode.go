package cache

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"polyclam/backends"
)

// An encoded entry begins with the version of its format. Then come the category (one byte),
// the code and the time of the answer (varints), the detail, the number of findings, and each
// finding's category and name. A text follows its length. Lengths and numbers are varints.
const formatVersion = 1

// maxEntry is the size of the largest entry that is kept, encoded, in bytes.
const maxEntry = 1024

// codedCategories are the categories that an entry can have, by their codes. Failures are
// missing: they are never kept. The codes are part of the format.
var codedCategories = []backends.Category{
	1: backends.Virus, 2: backends.Suspicious, 3: backends.Encrypted, 4: backends.Partial, 5: backends.OK,
}

// encode returns the format of e, or false if e must not be kept or is too large.
func encode(e Entry) (data []byte, ok bool) {
	r := &e.Result
	if len(r.Detail) > maxEntry || len(r.Findings) > maxEntry {
		return nil, false
	}
	b := append(make([]byte, 0, 64), formatVersion)
	if b, ok = appendCategory(b, r.Category); !ok {
		return nil, false
	}
	b = binary.AppendVarint(b, int64(r.Code))
	b = binary.AppendVarint(b, e.Scanned.UnixNano())
	b = appendText(b, r.Detail)
	b = binary.AppendUvarint(b, uint64(len(r.Findings)))
	for _, f := range r.Findings {
		if b, ok = appendCategory(b, f.Category); !ok || len(b)+len(f.Name) > maxEntry {
			return nil, false
		}
		b = appendText(b, f.Name)
	}
	return b, len(b) <= maxEntry
}

func appendCategory(b []byte, c backends.Category) ([]byte, bool) {
	code := slices.Index(codedCategories, c)
	return append(b, byte(code)), code > 0
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

var errFormat = errors.New("not an entry")

// decode is the opposite of encode. It returns an error for everything that encode would not
// return. The texts of the entry are parts of data.
func decode(data string) (e Entry, err error) {
	d := decoder{rest: data}
	if len(data) > maxEntry || d.byte() != formatVersion {
		return e, errFormat
	}
	r := &e.Result
	r.Category = d.category()
	r.Code = int(d.varint())
	e.Scanned = time.Unix(0, d.varint())
	r.Detail = d.text()
	// A finding has at least two bytes: no count makes more than the data can hold.
	if n := d.uvarint(); n > uint64(len(d.rest)/2) {
		d.bad = true
	} else if n > 0 {
		r.Findings = make([]backends.Finding, n)
	}
	for i := range r.Findings {
		r.Findings[i] = backends.Finding{Category: d.category(), Name: d.text()}
	}
	if d.bad || d.rest != "" {
		return Entry{}, errFormat
	}
	return e, nil
}

// A decoder takes values from the beginning of rest. After the first bad one all are zero.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) byte() byte {
	if d.rest == "" {
		d.bad = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) category() backends.Category {
	code := int(d.byte())
	if code < 1 || code >= len(codedCategories) {
		d.bad = true
		return ""
	}
	return codedCategories[code]
}

// uvarint takes a number in its shortest form.
func (d *decoder) uvarint() (n uint64) {
	for i := range binary.MaxVarintLen64 {
		b := d.byte()
		if i == binary.MaxVarintLen64-1 && b > 1 || i > 0 && b == 0 {
			break
		}
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

func (d *decoder) text() string {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}

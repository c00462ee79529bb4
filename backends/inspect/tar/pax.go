package tar

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"polyclam/backends/inspect/internal/archive"
)

// maxPax is the longest list of records that is read, the same as in archive/tar.
const maxPax = 1 << 20

var errPax = errors.New("malformed pax header")

// pax holds the pax records of a member. The sparse records are GNU tar's.
type pax struct {
	path    string
	size    int64
	hasSize bool
	major   string // version of the sparse format
	pieces  []piece
	real    int64 // size including holes
	isMap   bool
}

// readPax reads records of the form "LENGTH KEY=VALUE\n", where LENGTH is the record's own.
func readPax(r io.ReaderAt, at, size int64) (pax, error) {
	var p pax
	if size > maxPax {
		return p, errPax
	}
	var b bytes.Buffer
	if n, err := io.Copy(&b, io.NewSectionReader(r, at, size)); n < size {
		if err == nil {
			err = archive.ErrCutOff
		}
		return p, err
	}
	for rest := bytes.TrimRight(b.Bytes(), "\x00"); len(rest) > 0; {
		digits, _, ok := bytes.Cut(rest[:min(len(rest), 20)], []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if !ok || err != nil || n <= len(digits)+1 || n > len(rest) {
			return p, errPax
		}
		key, value, ok := bytes.Cut(bytes.TrimSuffix(rest[len(digits)+1:n], []byte("\n")), []byte("="))
		if !ok || p.set(string(key), value) != nil {
			return p, errPax
		}
		rest = rest[n:]
	}
	return p, nil
}

// set stores one record.
func (p *pax) set(key string, value []byte) (err error) {
	switch key {
	case "path":
		if p.path == "" {
			p.path = archive.Name(value)
		}
	case "GNU.sparse.name":
		p.path = archive.Name(value) // "path" is a placeholder in this case
	case "size":
		p.size, err = decimal(value)
		p.hasSize = err == nil
	case "GNU.sparse.major":
		p.major = string(value[:min(len(value), 4)])
	case "GNU.sparse.size", "GNU.sparse.realsize":
		p.real, err = decimal(value)
	case "GNU.sparse.numblocks":
		p.isMap = true
	case "GNU.sparse.map":
		p.isMap = true
		p.pieces, err = parseMap(value)
	case "GNU.sparse.offset":
		var n int64
		n, err = decimal(value)
		p.pieces = append(p.pieces, piece{at: n})
	case "GNU.sparse.numbytes":
		if len(p.pieces) == 0 {
			return errPax
		}
		p.pieces[len(p.pieces)-1].size, err = decimal(value)
	}
	return err
}

// merge returns p overridden by q.
func (p pax) merge(q pax) pax {
	m := p
	if q.path != "" {
		m.path = q.path
	}
	if q.hasSize {
		m.size, m.hasSize = q.size, true
	}
	if q.sparse() {
		m.major, m.isMap, m.pieces, m.real = q.major, q.isMap, q.pieces, q.real
	}
	return m
}

// sparse reports whether the member is a sparse file.
func (p pax) sparse() bool { return p.isMap || p.major != "" && p.major != "0" }

// parseMap parses OFFSET,SIZE,OFFSET,SIZE...
func parseMap(value []byte) ([]piece, error) {
	var pieces []piece
	for len(value) > 0 {
		var numbers [2]int64
		for i := range numbers {
			var field []byte
			var err error
			field, value, _ = bytes.Cut(value, []byte(","))
			if numbers[i], err = decimal(field); err != nil {
				return nil, err
			}
		}
		pieces = append(pieces, piece{numbers[0], numbers[1]})
	}
	return pieces, nil
}

func decimal(b []byte) (int64, error) {
	n, ok := archive.Number(b, 10)
	if !ok || len(b) == 0 {
		return 0, errPax
	}
	return n, nil
}

// Package gzip unpacks gzip files (RFC 1952). The format has no encryption.
//
// It parses the headers itself, because compress/gzip rejects names of more than 512
// bytes and headers with a wrong checksum, and reports them with the same error as junk
// after the last member. compress/flate unpacks the data.
package gzip

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	signature = "\x1f\x8b\x08"
	fixed     = 10 // fixed part of a header
	trailer   = 8
	memory    = 64 << 10 // window and tables
)

// The flags of a header.
const (
	hasSum     = 0x02
	hasExtra   = 0x04
	hasName    = 0x08
	hasComment = 0x10
	reserved   = 0xe0
)

var errDamaged = errors.New("damaged")

// Matches reports whether head begins a gzip file.
func Matches(head []byte) bool {
	return bytes.HasPrefix(head, []byte(signature)) && len(head) > 3 && head[3]&reserved == 0
}

// NewReader returns a reader of the unpacked bytes of all members. It does not verify
// checksums, so that files that gzip would reject are inspected too. Like gzip, it
// ignores other data after the last member.
func NewReader(r io.ReaderAt, size int64, charge archive.Charge) io.Reader {
	return &reader{from: bufio.NewReader(io.NewSectionReader(r, 0, size)), charge: charge}
}

// reader reads a sequence of members.
type reader struct {
	from    *bufio.Reader
	charge  archive.Charge
	inflate io.Reader
	member  bool // inside a member
	members int
	name    string // from the first header
	err     error
}

// Name returns the original file name.
func (g *reader) Name() string { return g.name }

// Read implements [io.Reader].
func (g *reader) Read(p []byte) (int, error) {
	for g.err == nil && len(p) > 0 {
		if !g.member {
			g.err = g.next()
			continue
		}
		n, err := g.inflate.Read(p)
		var corrupt flate.CorruptInputError
		switch {
		case errors.Is(err, io.EOF):
			g.member = false
			_, err = g.from.Discard(trailer)
			g.err = archive.CutOff(err)
		case errors.As(err, &corrupt):
			g.err = errDamaged
		case err != nil:
			g.err = archive.CutOff(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, g.err
}

// next opens the next member, or returns [io.EOF] at the end of the file.
func (g *reader) next() error {
	for g.members > 0 { // padding
		if b, err := g.from.Peek(1); err != nil || b[0] != 0 {
			break
		}
		g.from.Discard(1)
	}
	b, err := g.from.Peek(len(signature))
	if g.members > 0 && string(b) != signature {
		if errors.Is(err, io.EOF) || err == nil {
			return io.EOF
		}
		return err
	}
	if err := g.header(); err != nil {
		return archive.CutOff(err)
	}
	g.member = true
	g.members++
	if g.inflate == nil {
		if err := g.charge(memory); err != nil {
			return err
		}
		g.inflate = flate.NewReader(g.from)
		return nil
	}
	// Every flate reader is a Resetter.
	return g.inflate.(flate.Resetter).Reset(g.from, nil)
}

// header reads the header of a member.
func (g *reader) header() error {
	var h [fixed]byte
	if _, err := io.ReadFull(g.from, h[:]); err != nil {
		return err
	}
	flags := h[3]
	if flags&hasExtra != 0 {
		var n [2]byte
		if _, err := io.ReadFull(g.from, n[:]); err != nil {
			return err
		}
		if _, err := g.from.Discard(int(binary.LittleEndian.Uint16(n[:]))); err != nil {
			return err
		}
	}
	for _, flag := range []byte{hasName, hasComment} {
		if flags&flag == 0 {
			continue
		}
		text, err := g.text()
		if err != nil {
			return err
		}
		if flag == hasName && g.members == 0 {
			g.name = text
		}
	}
	if flags&hasSum != 0 {
		_, err := g.from.Discard(2)
		return err
	}
	return nil
}

// text reads a NUL-terminated string and returns its beginning.
func (g *reader) text() (string, error) {
	var text []byte
	for {
		c, err := g.from.ReadByte()
		if err != nil || c == 0 {
			return string(text), err
		}
		if len(text) < archive.MaxName {
			text = append(text, c)
		}
	}
}

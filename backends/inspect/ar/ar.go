// Package ar reads ar archives: static libraries and Debian packages, with the long names
// of GNU and BSD (ar(5)). The format has no encryption; only members are inspected. The
// standard library does not support ar, and the format is just a 60-byte header per
// member.
package ar

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"polyclam/backends/inspect/internal/archive"
)

// Signature begins an archive. A thin archive ("!<thin>\n") contains no data.
const Signature = "!<arch>\n"

const headerSize = 60

var errDamaged = errors.New("damaged header")

// Matches reports whether head begins an ar archive.
func Matches(head []byte) bool { return bytes.HasPrefix(head, []byte(Signature)) }

// Members iterates over an archive of size bytes.
func Members(r io.ReaderAt, size int64) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		a := &reader{r: r, size: size}
		for a.at = int64(len(Signature)); a.at < size; {
			m, err := a.member()
			if err != nil {
				yield(archive.Member{}, err)
				return
			}
			if !yield(m, nil) {
				return
			}
			if m.Size > size-m.Offset {
				yield(archive.Member{Name: m.Name}, archive.ErrCutOff)
				return
			}
			a.at = m.Offset + m.Size
			a.at += a.at & 1 // padding
		}
	}
}

// reader is the iteration state between members.
type reader struct {
	r     io.ReaderAt
	size  int64
	at    int64          // offset of the next header
	names archive.Member // GNU's table of long names
}

// member reads the header of the next member.
func (a *reader) member() (archive.Member, error) {
	var h [headerSize]byte
	if err := archive.ReadFull(a.r, h[:], a.at); err != nil {
		return archive.Member{}, err
	}
	size, ok := archive.Number(h[48:58], 10)
	if !ok || string(h[58:]) != "`\n" {
		return archive.Member{}, errDamaged
	}
	m := archive.Member{Name: strings.TrimRight(archive.Name(h[:16]), " "), Offset: a.at + headerSize, Size: size}
	switch {
	case m.Name == "//":
		a.names = m
	case strings.HasPrefix(m.Name, "#1/"):
		return a.bsdName(m)
	case len(m.Name) > 1 && m.Name[0] == '/' && m.Name[1] >= '0' && m.Name[1] <= '9':
		return a.gnuName(m)
	case len(m.Name) > 1:
		m.Name = strings.TrimSuffix(m.Name, "/")
	}
	return m, nil
}

// bsdName reads a name that precedes the data.
func (a *reader) bsdName(m archive.Member) (archive.Member, error) {
	n, ok := archive.Number([]byte(m.Name[3:]), 10)
	if !ok || n > m.Size {
		return m, errDamaged
	}
	name, err := archive.ReadName(a.r, m.Offset, n)
	m.Name, m.Offset, m.Size = name, m.Offset+n, m.Size-n
	return m, err
}

// gnuName reads a name from the name table. Without a table, the name remains the
// reference.
func (a *reader) gnuName(m archive.Member) (archive.Member, error) {
	n, ok := archive.Number([]byte(m.Name[1:]), 10)
	if !ok || n >= a.names.Size {
		return m, nil
	}
	var b [archive.MaxName]byte
	name, err := archive.Prefix(a.r, b[:min(archive.MaxName, a.names.Size-n)], a.names.Offset+n)
	if before, _, found := strings.Cut(string(name), "\n"); found {
		name = []byte(strings.TrimSuffix(before, "/"))
	}
	m.Name = archive.Name(name)
	return m, err
}

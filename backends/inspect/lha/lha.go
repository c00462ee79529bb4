// Package lha reads LHA archives (LZH) with headers of all levels and unpacks the methods
// lh4 to lh7, which all programs since 1991 write. The format has no encryption; only
// members are inspected. The layout follows the header description of LHa for UNIX. No Go
// library exists.
package lha

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	smallest  = 22 // smallest header
	fixed     = 32 // fixed part of a level 3 header, the longest
	maxExtend = 64 // extended headers of one member
)

var errDamaged = errors.New("damaged header")

// Matches reports whether head begins an LHA archive.
func Matches(head []byte) bool {
	if len(head) < smallest || !isMethod(string(head[2:7])) {
		return false
	}
	switch head[20] {
	case 0, 1:
		return int(head[0]) >= smallest-2 && (len(head) < int(head[0])+2 || sum(head[2:int(head[0])+2]) == head[1])
	case 2:
		return binary.LittleEndian.Uint16(head) >= 26
	case 3:
		return binary.LittleEndian.Uint16(head) == 4
	}
	return false
}

func isMethod(s string) bool {
	return s[0] == '-' && s[4] == '-' && (s[1:3] == "lh" || s[1:3] == "lz" || s[1:3] == "pm")
}

func sum(b []byte) (n byte) {
	for _, c := range b {
		n += c
	}
	return n
}

// header holds the fields common to all levels.
type header struct {
	method   string
	name     string
	folder   string
	at       int64 // offset of the data
	packed   int64
	unpacked int64
}

// Members iterates over an archive of size bytes.
func Members(r io.ReaderAt, size int64) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		for at := int64(0); at < size; {
			h, err := read(r, at, size)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(archive.Member{}, err)
				return
			}
			if !member(r, h, yield) {
				return
			}
			if h.packed > size-h.at {
				yield(archive.Member{Name: h.name}, archive.ErrCutOff)
				return
			}
			at = h.at + h.packed
		}
	}
}

// member yields a member. It reports whether to continue.
func member(r io.ReaderAt, h header, yield func(archive.Member, error) bool) bool {
	m := archive.Member{Name: archive.Name([]byte(h.folder + h.name))}
	switch {
	case h.method == "-lh0-", h.method == "-lz4-", h.method == "-pm0-", h.method == "-lhd-":
		m.Offset, m.Size = h.at, h.packed
		return yield(m, nil)
	case methods[h.method].window == 0:
		return yield(archive.Member{Name: m.Name}, archive.MethodError(fmt.Sprintf("packed with %.5q, which is not supported", h.method)))
	}
	d := &decoder{from: io.NewSectionReader(r, h.at, h.packed), size: h.unpacked, method: methods[h.method]}
	m.Data, m.Size = d, h.unpacked
	return yield(m, nil)
}

// read reads the header at offset at. The end of the archive is [io.EOF].
func read(r io.ReaderAt, at, size int64) (header, error) {
	var b [fixed]byte
	head, err := archive.Prefix(r, b[:min(fixed, size-at)], at)
	switch {
	case err != nil:
		return header{}, err
	case len(head) > 0 && head[0] == 0 && (len(head) < smallest || !isMethod(string(head[2:7]))):
		return header{}, io.EOF
	case len(head) < smallest:
		return header{}, archive.ErrCutOff
	case !isMethod(string(head[2:7])):
		return header{}, errDamaged
	}
	h := header{
		method:   string(head[2:7]),
		packed:   int64(binary.LittleEndian.Uint32(head[7:])),
		unpacked: int64(binary.LittleEndian.Uint32(head[11:])),
	}
	switch head[20] {
	case 0, 1:
		err = h.old(r, head, at)
	case 2, 3:
		err = h.new(r, head, at)
	default:
		err = errDamaged
	}
	return h, err
}

// old reads the rest of a header of level 0 or 1.
func (h *header) old(r io.ReaderAt, head []byte, at int64) error {
	length := int64(head[0]) + 2
	name := int64(head[21])
	if smallest+name > length {
		return errDamaged
	}
	var err error
	if h.name, err = archive.ReadName(r, at+smallest, name); err != nil {
		return err
	}
	h.name = string(bytes.ReplaceAll([]byte(h.name), []byte(`\`), []byte("/")))
	if h.at = at + length; head[20] == 0 {
		return nil
	}
	// The packed size includes the extended headers.
	end, err := h.extended(r, h.at-2, 2)
	if err != nil || end-h.at > h.packed {
		return errors.Join(err, errDamaged)
	}
	h.packed -= end - h.at
	h.at = end
	return nil
}

// new reads the rest of a header of level 2 or 3.
func (h *header) new(r io.ReaderAt, head []byte, at int64) error {
	length, first, width := int64(binary.LittleEndian.Uint16(head)), at+24, int64(2)
	if head[20] == 3 {
		if len(head) < fixed {
			return archive.ErrCutOff
		}
		length, first, width = int64(binary.LittleEndian.Uint32(head[24:])), at+28, 4
	}
	h.at = at + length
	end, err := h.extended(r, first, width)
	if err == nil && end > h.at {
		err = errDamaged
	}
	return err
}

// extended reads a chain of extended headers and returns the offset of its end. Each header
// ends with the size of the next.
func (h *header) extended(r io.ReaderAt, at, width int64) (int64, error) {
	const name, folder = 1, 2
	for range maxExtend {
		var b [4]byte
		if err := archive.ReadFull(r, b[:width], at); err != nil {
			return 0, err
		}
		at += width
		size := int64(binary.LittleEndian.Uint32(b[:]))
		if size == 0 {
			return at, nil
		}
		if size < width+1 {
			return 0, errDamaged
		}
		var kind [1]byte
		if err := archive.ReadFull(r, kind[:], at); err != nil {
			return 0, err
		}
		if kind[0] == name || kind[0] == folder {
			text, err := archive.ReadName(r, at+1, size-1-width)
			if err != nil {
				return 0, err
			}
			if kind[0] == name {
				h.name = text
			} else {
				h.folder = string(bytes.ReplaceAll([]byte(text), []byte{0xff}, []byte("/")))
			}
		}
		at += size - width
	}
	return 0, errDamaged
}

// Package cpio reads cpio archives (cpio(5)): the new ASCII format with and without
// checksums, the old ASCII format (odc), and the old binary format in both byte orders.
// The format has no encryption; only members are inspected. Existing libraries read
// only the new format and do not expose the offset of a member's data.
//
// An initial RAM disk is a sequence of archives, the last one compressed. So whatever
// follows an archive is yielded as a member without a name.
package cpio

import (
	"encoding/binary"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

const (
	newSize    = 110 // header sizes
	oldSize    = 76
	binarySize = 26
	trailer    = "TRAILER!!!"
	// maxPadding is how far to look for data after the trailer.
	maxPadding = 64 << 10
)

var errDamaged = errors.New("damaged header")

// header holds the fields common to all formats.
type header struct {
	length int64 // size of the header
	name   int64 // size of the name, with its NUL
	size   int64 // size of the data
	align  int64
}

// Matches reports whether head begins an archive. The magic number of the binary formats
// has only two bytes, so their first name must be valid too.
func Matches(head []byte) bool {
	h, ok := parse(head)
	switch {
	case !ok || h.name < 2 || h.name > 1<<16:
		return false
	case h.length > binarySize:
		return true
	}
	end := h.length + h.name
	return end <= int64(len(head)) && head[end-1] == 0 && archive.Name(head[h.length:end]) != "" &&
		int64(len(archive.Name(head[h.length:end]))) >= min(h.name-1, archive.MaxName)
}

// parse parses a header of any format.
func parse(b []byte) (header, bool) {
	switch {
	case len(b) >= newSize && (string(b[:6]) == "070701" || string(b[:6]) == "070702"):
		size, ok := archive.Number(b[54:62], 16)
		name, ok2 := archive.Number(b[94:102], 16)
		return header{newSize, name, size, 4}, ok && ok2
	case len(b) >= oldSize && string(b[:6]) == "070707":
		name, ok := archive.Number(b[59:65], 8)
		size, ok2 := archive.Number(b[65:76], 8)
		return header{oldSize, name, size, 1}, ok && ok2
	case len(b) >= binarySize && string(b[:2]) == "\xc7\x71":
		return parseBinary(b, binary.LittleEndian), true
	case len(b) >= binarySize && string(b[:2]) == "\x71\xc7":
		return parseBinary(b, binary.BigEndian), true
	}
	return header{}, false
}

// parseBinary parses a header of 16-bit words. Longs have the high word first.
func parseBinary(b []byte, order binary.ByteOrder) header {
	size := int64(order.Uint16(b[22:]))<<16 | int64(order.Uint16(b[24:]))
	return header{binarySize, int64(order.Uint16(b[20:])), size, 2}
}

// Members iterates over an archive of size bytes and those that follow it.
func Members(r io.ReaderAt, size int64) archive.Members {
	return func(yield func(archive.Member, error) bool) {
		for at := int64(0); at < size; {
			var b [newSize]byte
			head, err := archive.Prefix(r, b[:min(newSize, size-at)], at)
			if err != nil {
				yield(archive.Member{}, err)
				return
			}
			h, ok := parse(head)
			if !ok {
				yield(archive.Member{}, damage(head))
				return
			}
			m := archive.Member{Offset: align(at+h.length+h.name, h.align), Size: h.size}
			if m.Name, err = archive.ReadName(r, at+h.length, h.name); err != nil {
				yield(archive.Member{}, err)
				return
			}
			if m.Name == trailer {
				at, err = afterTrailer(r, m.Offset, size, yield)
				if err != nil {
					yield(archive.Member{}, err)
					return
				}
				continue
			}
			if !yield(m, nil) {
				return
			}
			if h.size > size-m.Offset {
				yield(archive.Member{Name: m.Name}, archive.ErrCutOff)
				return
			}
			at = align(m.Offset+h.size, h.align)
		}
	}
}

// damage returns the reason why head is not a header.
func damage(head []byte) error {
	if len(head) < newSize {
		return archive.ErrCutOff
	}
	return errDamaged
}

func align(at, n int64) int64 { return (at + n - 1) / n * n }

// afterTrailer skips padding after an archive. It returns the offset of the next archive,
// or the end. It yields other data as a member.
func afterTrailer(r io.ReaderAt, at, size int64, yield func(archive.Member, error) bool) (int64, error) {
	var b [512]byte
	for end := min(size, at+maxPadding); at < end; {
		part, err := archive.Prefix(r, b[:min(int64(len(b)), size-at)], at)
		if err != nil {
			return 0, err
		}
		for i, c := range part {
			if c == 0 {
				continue
			}
			at += int64(i)
			if part, err = archive.Prefix(r, b[:min(newSize, size-at)], at); err != nil {
				return 0, err
			}
			if Matches(part) {
				return at, nil
			}
			yield(archive.Member{Offset: at, Size: size - at}, nil)
			return size, nil
		}
		at += int64(len(part))
	}
	return size, nil
}

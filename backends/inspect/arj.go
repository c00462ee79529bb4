package inspect

import (
	"bytes"
	"context"
	"encoding/binary"
	"hash/crc32"
)

// arjDetector knows ARJ archives, as ARJ's technical notes describe them.
type arjDetector struct{}

const arjSignature = "\x60\xea"

// match implements detector: the main header must fit.
func (arjDetector) match(w *walk, s *section) bool {
	_, ok := arjHeader(s.head)
	return ok
}

// arjHeader cuts a header out of b, and checks its sum.
func arjHeader(b []byte) ([]byte, bool) {
	const largest, smallest = 2600, 30
	if len(b) < 4 || string(b[:2]) != arjSignature {
		return nil, false
	}
	size := int(binary.LittleEndian.Uint16(b[2:]))
	if size < smallest || size > largest || len(b) < 4+size+4 {
		return nil, false
	}
	h := b[4 : 4+size]
	return h, int(h[0]) <= size && h[0] >= smallest && crc32.ChecksumIEEE(h) == binary.LittleEndian.Uint32(b[4+size:])
}

// look implements detector.
func (arjDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	const largest, garbled, mainHeader = 4 + 2600 + 4 + 2, 1, 2
	for at := int64(0); at < s.size; {
		b := w.scratch.buffer(min(largest, s.size-at))
		if err := readFull(s, b, at); err != nil {
			return nil, err
		}
		h, ok := arjHeader(b)
		if !ok {
			return nil, nil
		}
		name, _, _ := bytes.Cut(h[h[0]:], []byte{0})
		if h[4]&garbled != 0 && h[6] != mainHeader {
			return newSighting(findingARJ, "arj", string(name[:min(len(name), maxName)]), "garbled"), nil
		}
		at += 4 + int64(len(h)) + 4
		// Extended headers, each with a sum; the last is empty.
		for at+2 <= s.size {
			var n [2]byte
			if err := readFull(s, n[:], at); err != nil {
				return nil, err
			}
			at += 2
			size := int64(binary.LittleEndian.Uint16(n[:]))
			if size == 0 {
				break
			}
			at += size + 4
		}
		if h[6] != mainHeader {
			at += int64(binary.LittleEndian.Uint32(h[12:]))
		}
	}
	return nil, nil
}

// aceDetector knows ACE archives, as acefile and other unpackers read them.
type aceDetector struct{}

// match implements detector.
func (aceDetector) match(w *walk, s *section) bool {
	return len(s.head) > 14 && string(s.head[7:14]) == "**ACE**"
}

// look implements detector.
func (aceDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	const fixed, file, hasData, encrypted = 35, 1, 0x0001, 0x4000
	for at := int64(0); at+7 <= s.size; {
		var h [fixed]byte
		if err := readFull(s, h[:min(fixed, s.size-at)], at); err != nil {
			return nil, err
		}
		size, kind := int64(binary.LittleEndian.Uint16(h[2:])), h[4]
		flags := binary.LittleEndian.Uint16(h[5:])
		if size < 3 || kind > 5 {
			return nil, nil
		}
		if kind == file && flags&encrypted != 0 && size >= fixed-4 {
			name := readName(s, at+fixed, int64(binary.LittleEndian.Uint16(h[33:])))
			return newSighting(findingACE, "ace", name, "Blowfish"), nil
		}
		at += 4 + size
		if flags&hasData != 0 {
			at += int64(binary.LittleEndian.Uint32(h[7:]))
		}
	}
	return nil, nil
}

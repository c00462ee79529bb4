package inspect

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
)

// gzipDetector looks into what gzip has compressed.
type gzipDetector struct{}

// match implements detector.
func (gzipDetector) match(w *walk, s *section) bool {
	return bytes.HasPrefix(s.head, []byte("\x1f\x8b\x08"))
}

// look implements detector.
func (gzipDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	// Its window and tables.
	if err := w.spend(ctx, 64<<10); err != nil {
		return nil, err
	}
	in := &counter{from: io.NewSectionReader(s, 0, s.size)}
	r, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	u := w.unpacker(ctx, r)
	u.in = in
	inner, err := w.unpacked(s, u, -1)
	if err != nil {
		return nil, err
	}
	return w.look(ctx, inner).within("gzip", r.Name), nil
}

// bzip2Detector looks into what bzip2 has compressed.
type bzip2Detector struct{}

// match implements detector.
func (bzip2Detector) match(w *walk, s *section) bool {
	return len(s.head) > 10 && string(s.head[:3]) == "BZh" && string(s.head[4:10]) == "1AY&SY"
}

// look implements detector.
func (bzip2Detector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	// A block of 900 000 bytes, at four each.
	if err := w.spend(ctx, 4<<20); err != nil {
		return nil, err
	}
	in := &counter{from: io.NewSectionReader(s, 0, s.size)}
	u := w.unpacker(ctx, bzip2.NewReader(in))
	u.in = in
	inner, err := w.unpacked(s, u, -1)
	if err != nil {
		return nil, err
	}
	return w.look(ctx, inner).within("bzip2", ""), nil
}

// tarDetector looks into tar archives.
type tarDetector struct{}

// match implements detector.
func (tarDetector) match(w *walk, s *section) bool {
	return len(s.head) >= 263 && string(s.head[257:262]) == "ustar"
}

// look implements detector.
func (tarDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	position := io.NewSectionReader(s, 0, s.size)
	for r := tar.NewReader(position); ; {
		h, err := r.Next()
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size < smallestContainer {
			continue
		}
		// Package tar reads block by block, without a buffer.
		at, err := position.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		inner, err := w.stored(s, at, h.Size)
		if err != nil {
			return nil, err
		}
		if seen := w.look(ctx, inner); seen != nil || w.stop != nil {
			return seen.within("tar", h.Name), w.stop
		}
	}
}

// tnefDetector looks into Outlook's winmail.dat ([MS-OXTNEF]).
type tnefDetector struct{}

// match implements detector.
func (tnefDetector) match(w *walk, s *section) bool {
	return bytes.HasPrefix(s.head, []byte("\x78\x9f\x3e\x22"))
}

// look implements detector.
func (tnefDetector) look(ctx context.Context, w *walk, s *section) (*sighting, error) {
	const title, data, fixed = 0x00018010, 0x0006800f, 9
	name := ""
	for at := int64(6); at+fixed <= s.size; {
		var h [fixed]byte
		if err := readFull(s, h[:], at); err != nil {
			return nil, err
		}
		kind, size := binary.LittleEndian.Uint32(h[1:]), int64(binary.LittleEndian.Uint32(h[5:]))
		if h[0] != 1 && h[0] != 2 {
			return nil, nil
		}
		at += fixed
		switch kind {
		case title:
			b := w.scratch.local[:min(size, maxName, s.size-at)]
			if err := readFull(s, b, at); err != nil {
				return nil, err
			}
			name = string(bytes.TrimRight(b, "\x00"))
		case data:
			inner, err := w.stored(s, at, size)
			if err != nil {
				return nil, err
			}
			if seen := w.look(ctx, inner); seen != nil || w.stop != nil {
				return seen.within("tnef", name), w.stop
			}
		}
		at += size + 2
	}
	return nil, nil
}

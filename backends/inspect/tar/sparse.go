package tar

import (
	"bufio"
	"errors"
	"io"

	"polyclam/backends/inspect/internal/archive"
)

// piece is a part of a sparse file that is not a hole.
type piece struct {
	at, size int64
}

// maxPieces bounds the pieces of one file. Each also takes bytes in the archive.
const maxPieces = 1 << 16

var errSparse = errors.New("damaged map of a sparse file")

// oldSparse yields a sparse file in GNU tar's own format: the map is in the header and
// in extended headers.
func (t *reader) oldSparse(m archive.Member, yield func(archive.Member, error) bool) bool {
	const entries, extended, realSize, moreExtended = 386, 482, 483, 504
	real, ok := number(t.block[realSize : realSize+12])
	pieces, full := appendPieces(nil, t.block[entries:extended])
	for more := t.block[extended] != 0; more; more = t.block[moreExtended] != 0 {
		if err := archive.ReadFull(t.r, t.block[:], t.at); err != nil {
			yield(archive.Member{Name: m.Name}, err)
			return false
		}
		t.at += blockSize
		var all bool
		pieces, all = appendPieces(pieces, t.block[:moreExtended])
		full = full && all
	}
	m.Offset = t.at
	if !ok || !full {
		t.skip(m.Size)
		return yield(archive.Member{Name: m.Name}, errSparse)
	}
	return t.holes(m, m.Offset, m.Size, real, pieces, yield)
}

// appendPieces appends the pieces of a header. Unused fields are empty.
func appendPieces(pieces []piece, b []byte) ([]piece, bool) {
	for ; len(b) >= 24; b = b[24:] {
		at, ok := number(b[:12])
		size, ok2 := number(b[12:24])
		if !ok || !ok2 || len(pieces) >= maxPieces {
			return nil, false
		}
		if b[0] != 0 {
			pieces = append(pieces, piece{at, size})
		}
	}
	return pieces, true
}

// paxSparse yields a sparse file of a pax archive: the map is in the records or precedes
// the data.
func (t *reader) paxSparse(m archive.Member, p pax, yield func(archive.Member, error) bool) bool {
	pieces, at := p.pieces, m.Offset
	if !p.isMap {
		var err error
		if pieces, at, err = readMap(t.r, m); err != nil {
			t.skip(m.Size)
			return yield(archive.Member{Name: m.Name}, err)
		}
	}
	return t.holes(m, at, m.Size-(at-m.Offset), p.real, pieces, yield)
}

// readMap reads a map of decimal numbers, one per line, padded to a block. It returns the
// offset of the data.
func readMap(r io.ReaderAt, m archive.Member) ([]piece, int64, error) {
	lines := bufio.NewReaderSize(io.NewSectionReader(r, m.Offset, m.Size), blockSize)
	read := int64(0)
	next := func() (int64, error) {
		line, err := lines.ReadSlice('\n')
		read += int64(len(line))
		if err != nil {
			return 0, errSparse
		}
		n, ok := archive.Number(line[:len(line)-1], 10)
		if !ok {
			return 0, errSparse
		}
		return n, nil
	}
	count, err := next()
	if err != nil || count > maxPieces {
		return nil, 0, errSparse
	}
	var pieces []piece
	for range count {
		at, err := next()
		if err != nil {
			return nil, 0, err
		}
		size, err := next()
		if err != nil {
			return nil, 0, err
		}
		pieces = append(pieces, piece{at, size})
	}
	return pieces, m.Offset + (read+blockSize-1)/blockSize*blockSize, nil
}

// holes yields a sparse member and moves past its data, which is size bytes at offset
// from.
func (t *reader) holes(m archive.Member, from, size, real int64, pieces []piece, yield func(archive.Member, error) bool) bool {
	cutOff := m.Size > t.size-m.Offset
	t.skip(m.Size)
	if !inOrder(pieces, size, real) {
		return yield(archive.Member{Name: m.Name}, errSparse)
	}
	data := &sparse{from: io.NewSectionReader(t.r, from, size), pieces: pieces, size: real}
	return yield(archive.Member{Name: m.Name, Size: real, Data: data}, nil) &&
		(!cutOff || yield(archive.Member{Name: m.Name}, archive.ErrCutOff))
}

// inOrder reports whether pieces are sorted, do not overlap, lie within a file of real
// bytes, and take no more than size bytes.
func inOrder(pieces []piece, size, real int64) bool {
	end := int64(0)
	for _, p := range pieces {
		if p.at < end || p.at > real || p.size > real-p.at || p.size > size {
			return false
		}
		end = p.at + p.size
		size -= p.size
	}
	return true
}

// sparse reads a file including its holes.
type sparse struct {
	from   io.Reader
	pieces []piece
	at     int64
	size   int64
}

// Read implements [io.Reader].
func (s *sparse) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && s.at >= s.pieces[0].at+s.pieces[0].size {
		s.pieces = s.pieces[1:]
	}
	end, hole := s.size, true
	if len(s.pieces) > 0 {
		if hole = s.at < s.pieces[0].at; hole {
			end = s.pieces[0].at
		} else {
			end = s.pieces[0].at + s.pieces[0].size
		}
	}
	if s.at >= s.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), end-s.at)]
	n, err := len(p), error(nil)
	if hole {
		clear(p)
	} else if n, err = s.from.Read(p); err == io.EOF {
		if err = nil; n == 0 {
			err = archive.ErrCutOff
		}
	}
	s.at += int64(n)
	return n, err
}

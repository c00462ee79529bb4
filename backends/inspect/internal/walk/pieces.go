package walk

import "io"

const pieceSize = 64 << 10

// pieces is a byte buffer that grows without copying.
type pieces struct {
	list [][]byte // each of pieceSize
	size int64
}

// free returns space for the next bytes, never empty. The caller adds to size what it
// wrote.
func (p *pieces) free() []byte {
	if p.size == int64(len(p.list))*pieceSize {
		p.list = append(p.list, make([]byte, pieceSize))
	}
	return p.list[len(p.list)-1][p.size%pieceSize:]
}

// ReadAt implements [io.ReaderAt].
func (p *pieces) ReadAt(b []byte, off int64) (int, error) {
	n := 0
	for n < len(b) && off < p.size {
		piece := p.list[off/pieceSize]
		piece = piece[:min(pieceSize, p.size-off/pieceSize*pieceSize)]
		copied := copy(b[n:], piece[off%pieceSize:])
		n += copied
		off += int64(copied)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

package office

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// embedded inspects the objects embedded in a presentation: compound files among its
// records, usually compressed ([MS-PPT] 2.10.34).
func embedded(ctx context.Context, w *walk.Walk, s *walk.Section, document io.Reader) *walk.Sighting {
	const (
		header, container, storage = 8, 0x0f, 0x1011
		sizeAndZlib                = 4 + 2
	)
	r := bufio.NewReader(document)
	for w.Stopped() == nil {
		var h [header]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return nil
		}
		version, kind := binary.LittleEndian.Uint16(h[:]), binary.LittleEndian.Uint16(h[2:])
		if version&0x0f == container {
			continue // its records follow
		}
		data := &io.LimitedReader{R: r, N: int64(binary.LittleEndian.Uint32(h[4:]))}
		if kind == storage {
			u := w.Decoder(ctx, data)
			if version>>4 == 1 {
				if _, err := io.CopyN(io.Discard, data, sizeAndZlib); err != nil {
					return nil
				}
				u = w.Inflater(ctx, data)
			}
			inner, err := w.Unpacked(s, u, -1)
			if err == nil {
				if seen := w.Look(ctx, inner); seen != nil {
					return seen
				}
			}
		}
		if _, err := io.Copy(io.Discard, data); err != nil {
			return nil
		}
	}
	return nil
}

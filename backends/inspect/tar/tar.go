// Package tar looks into tar archives.
package tar

import (
	"archive/tar"
	"context"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Detector looks into tar archives.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return len(s.Head) >= 263 && string(s.Head[257:262]) == "ustar"
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	position := io.NewSectionReader(s, 0, s.Size)
	for r := tar.NewReader(position); ; {
		h, err := r.Next()
		if err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || h.Size < walk.SmallestContainer {
			continue
		}
		// Package tar reads block by block, without a buffer.
		at, err := position.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		inner, err := w.Stored(s, at, h.Size)
		if err != nil {
			return nil, err
		}
		if seen := w.Look(ctx, inner); seen != nil || w.Stopped() != nil {
			return seen.Within("tar", h.Name), w.Stopped()
		}
	}
}

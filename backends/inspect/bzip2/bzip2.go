// Package bzip2 looks into what bzip2 has compressed.
package bzip2

import (
	"compress/bzip2"
	"context"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// Detector knows bzip2.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return len(s.Head) > 10 && string(s.Head[:3]) == "BZh" && string(s.Head[4:10]) == "1AY&SY"
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const block = 4 << 20 // of 900,000 bytes, at four each
	seen, err := w.Stream(ctx, s, "bzip2", block, func(packed io.Reader) (io.Reader, error) {
		return bzip2.NewReader(packed), nil
	})
	return seen.Within("bzip2", ""), err
}

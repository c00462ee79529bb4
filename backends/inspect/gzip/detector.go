package gzip

import (
	"bytes"
	"context"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector knows gzip.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(signature)) && len(s.Head) > 3 && s.Head[3]&reserved == 0
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return archive.Stream(ctx, w, s, "gzip", archive.Certain, NewReader)
}

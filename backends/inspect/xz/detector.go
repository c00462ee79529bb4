package xz

import (
	"bytes"
	"context"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector knows .xz files.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return bytes.HasPrefix(s.Head, []byte(Signature))
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return archive.Stream(ctx, w, s, "xz", true, NewReader)
}

// LZMA knows .lzma files.
type LZMA struct{}

// Match implements [walk.Detector].
func (LZMA) Match(w *walk.Walk, s *walk.Section) bool { return MatchesLZMA(s.Head) }

// Look implements [walk.Detector].
func (LZMA) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return archive.Stream(ctx, w, s, "lzma", false, NewLZMAReader)
}

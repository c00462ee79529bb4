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
	return archive.Stream(ctx, w, s, "xz", archive.Certain, NewReader)
}

// LZMA knows .lzma files.
type LZMA struct{}

// Match implements [walk.Detector].
func (LZMA) Match(w *walk.Walk, s *walk.Section) bool { return MatchesLZMA(s.Head) }

// Look implements [walk.Detector].
func (LZMA) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const usual = 0x5d // the properties that programs write
	trust := archive.Guess
	if s.Head[0] == usual {
		trust = archive.Likely
	}
	return archive.Stream(ctx, w, s, "lzma", trust, NewLZMAReader)
}

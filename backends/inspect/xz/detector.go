package xz

import (
	"context"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// LZMA recognises .lzma files.
type LZMA struct{}

// Match implements [walk.Detector].
func (LZMA) Match(w *walk.Walk, s *walk.Section) bool { return MatchesLZMA(s.Head) }

// Look implements [walk.Detector].
func (LZMA) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	const usual = 0x5d // the properties that most programs write
	trust := archive.Guess
	if s.Head[0] == usual {
		trust = archive.Likely
	}
	return archive.Stream(ctx, w, s, "lzma", trust, NewLZMAReader)
}

package archive

import (
	"context"
	"io"

	"polyclam/backends/inspect/internal/walk"
)

// List is a [walk.Detector] for archives that are lists of members.
type List struct {
	Container string
	Matches   func(head []byte) bool
	Members   func(r io.ReaderAt, size int64) Members
}

// Match implements [walk.Detector].
func (l List) Match(w *walk.Walk, s *walk.Section) bool { return l.Matches(s.Head) }

// Look implements [walk.Detector].
func (l List) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return Look(ctx, w, s, l.Container, l.Members(s, s.Size))
}

// Packed is a [walk.Detector] for files that are one compressed stream.
type Packed struct {
	Container  string
	Confidence Confidence
	Matches    func(head []byte) bool
	Open       Opener
}

// Match implements [walk.Detector].
func (p Packed) Match(w *walk.Walk, s *walk.Section) bool { return p.Matches(s.Head) }

// Look implements [walk.Detector].
func (p Packed) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return Stream(ctx, w, s, p.Container, p.Confidence, p.Open)
}

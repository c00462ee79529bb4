package cab

import (
	"context"
	"io"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises cabinets, including those in self-extracting programs.
type Detector struct{}

// Signature implements [walk.Signed].
func (Detector) Signature() string { return Signature }

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	return Matches(s.Head) || s.MayHaveStub()
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	at, found := walk.FindSignature(w, s, Signature, func(at int64) bool {
		var h [headerSize]byte
		if walk.ReadFull(s, h[:min(headerSize, s.Size-at)], at) != nil {
			return false
		}
		return at == 0 && Matches(h[:]) || plausible(h[:], s.Size-at)
	})
	if !found {
		return nil, nil
	}
	spend := func(n int64) error { return w.Spend(ctx, n) }
	size := s.Size - at
	return archive.Look(ctx, w, s, "cab", Members(io.NewSectionReader(s, at, size), size, spend))
}

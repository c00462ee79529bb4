package iso

import (
	"bytes"
	"context"

	"polyclam/backends/inspect/internal/archive"
	"polyclam/backends/inspect/internal/walk"
)

// Detector recognises disc images.
type Detector struct{}

// Match implements [walk.Detector].
func (Detector) Match(w *walk.Walk, s *walk.Section) bool {
	if s.ReaderAt != nil {
		return s.Size > SystemArea && Matches(s)
	}
	return Matches(bytes.NewReader(s.Head))
}

// Needs implements [walk.DeepDetector]. The first sectors of an image are zeros or a boot
// sector, unless the sectors are raw.
func (Detector) Needs(head []byte) int {
	const needed, rawNeeded = SystemArea + 6, SystemArea/sectorSize*rawSize + rawSize
	switch {
	case bytes.HasPrefix(head, []byte(sync)):
		return rawNeeded
	case len(bytes.TrimLeft(head, "\x00")) == 0, len(head) >= 512 && string(head[510:512]) == "\x55\xaa":
		return needed
	}
	return 0
}

// Look implements [walk.Detector].
func (Detector) Look(ctx context.Context, w *walk.Walk, s *walk.Section) (*walk.Sighting, error) {
	return archive.Look(ctx, w, s, "iso", Members(s, s.Size))
}

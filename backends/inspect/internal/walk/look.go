package walk

import (
	"bytes"
	"context"
)

// Look runs every detector that matches s. If it returns nil, [Walk.Stopped] reports
// whether the search was complete.
func (w *Walk) Look(ctx context.Context, s *Section) *Sighting {
	if s == nil {
		return nil
	}
	if s.Head == nil {
		s.Head = make([]byte, min(HeadSize, s.Size))
		if err := ReadFull(s, s.Head, 0); err != nil {
			return nil
		}
	}
	known := false
	for _, d := range w.detectors {
		if w.stop != nil {
			return nil
		}
		if isAppended(d, s) {
			continue
		}
		seen, matched := w.ask(ctx, d, s)
		if seen != nil {
			return seen
		}
		known = known || matched
	}
	return w.lookForAppended(ctx, s, known)
}

// lookForAppended looks for archives that follow something else in s. In a known
// container, such an archive may be a member that has already been inspected; then it
// counts only if it is encrypted.
func (w *Walk) lookForAppended(ctx context.Context, s *Section, known bool) *Sighting {
	if !s.MayHaveStub() {
		return nil
	}
	defer func(noted error) {
		if known {
			w.noted = noted
		}
	}(w.noted)
	for _, d := range w.detectors {
		if w.stop != nil {
			return nil
		}
		if !isAppended(d, s) {
			continue
		}
		if seen, _ := w.ask(ctx, d, s); seen != nil {
			return seen
		}
	}
	return nil
}

// isAppended reports whether d's format can follow something else and s does not begin with
// it.
func isAppended(d Detector, s *Section) bool {
	signed, ok := d.(Signed)
	return ok && !bytes.HasPrefix(s.Head, []byte(signed.Signature()))
}

// ask runs one detector. Detectors parse hostile bytes: one that panics leaves them
// uninspected.
func (w *Walk) ask(ctx context.Context, d Detector, s *Section) (seen *Sighting, matched bool) {
	defer func() {
		if recover() != nil {
			seen = nil
			w.scratch = new(Scratch)
			w.Miss(UnscannedBroken, "the detector failed")
		}
	}()
	if !d.Match(w, s) {
		return nil, false
	}
	if s.Depth >= w.Limits.MaxDepth {
		w.Note("MaxDepth", w.Limits.MaxDepth)
		return nil, true
	}
	seen, err := d.Look(ctx, w, s)
	if err != nil {
		return nil, true
	}
	return seen, true
}

// matches reports whether any detector wants a member with this head.
func (w *Walk) matches(s *Section) bool {
	for _, d := range w.detectors {
		if d.Match(w, s) {
			return true
		}
	}
	return false
}

// deep returns how many bytes a detector needs to recognise a member with this head, or 0.
func (w *Walk) deep(s *Section) int {
	most := 0
	for _, d := range w.detectors {
		if d, ok := d.(DeepDetector); ok && len(s.Head) == HeadSize {
			most = max(most, min(d.Needs(s.Head), MaxDeep))
		}
	}
	return most
}

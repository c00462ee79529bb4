package walk

import (
	"bytes"
	"context"
)

// Look asks all detectors that s matches. The walk's stop says whether no
// sighting means that there is nothing.
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
		if follows(d, s) {
			continue
		}
		seen, matched := w.ask(ctx, d, s)
		if seen != nil {
			return seen
		}
		known = known || matched
	}
	return w.lookBehind(ctx, s, known)
}

// lookBehind asks for what follows something else in s. Of a container that is
// known that may be a member, which has been looked into: then it matters only if
// it is encrypted.
func (w *Walk) lookBehind(ctx context.Context, s *Section, known bool) *Sighting {
	if !s.Prefixed() {
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
		if !follows(d, s) {
			continue
		}
		if seen, _ := w.ask(ctx, d, s); seen != nil {
			return seen
		}
	}
	return nil
}

// follows reports whether what d knows is not at the beginning of s, but may be
// after it.
func follows(d Detector, s *Section) bool {
	signed, ok := d.(Signed)
	return ok && !bytes.HasPrefix(s.Head, []byte(signed.Signature()))
}

// ask asks one detector. It parses hostile bytes: if it panics, they have not been
// looked into.
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

// matches reports whether a detector would look into a member with this head.
func (w *Walk) matches(s *Section) bool {
	for _, d := range w.detectors {
		if d.Match(w, s) {
			return true
		}
	}
	return false
}

// deep returns how many bytes of a member a detector needs to match it, or 0.
func (w *Walk) deep(s *Section) int {
	most := 0
	for _, d := range w.detectors {
		if d, ok := d.(Deep); ok && len(s.Head) == HeadSize {
			most = max(most, min(d.Needs(s.Head), MaxDeep))
		}
	}
	return most
}

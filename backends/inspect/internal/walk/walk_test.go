package walk

import (
	"context"
	"testing"

	"polyclam/backends/backendtest"
)

// panicking is a detector that panics.
type panicking struct{ inMatch bool }

func (m panicking) Match(*Walk, *Section) bool {
	if m.inMatch {
		panic("in Match")
	}
	return true
}

func (panicking) Look(context.Context, *Walk, *Section) (*Sighting, error) {
	var none []int
	_ = none[len(none)]
	return nil, nil
}

// TestDetectorPanics checks that bytes that make a detector panic are partial, not ok.
func TestDetectorPanics(t *testing.T) {
	for _, d := range []panicking{{true}, {false}} {
		w := New(Limits{MaxBytes: 1 << 20, MaxDepth: 8, MaxMembers: 100}, nil, nil, new(Scratch))
		s := w.Section(t.Context(), backendtest.CleanObject(t), 10)
		s.Head = []byte("head")
		seen, _ := w.ask(t.Context(), d, s)
		missed, err := w.Result()
		if seen != nil || missed == nil || missed.Name != UnscannedBroken || err != nil {
			t.Errorf("%+v: %+v, missed %+v, %v", d, seen, missed, err)
		}
	}
}

package walk

import (
	"context"
	"testing"

	"polyclam/backends/backendtest"
)

// mad is a detector that panics.
type mad struct{ inMatch bool }

func (m mad) Match(*Walk, *Section) bool {
	if m.inMatch {
		panic("mad")
	}
	return true
}

func (mad) Look(context.Context, *Walk, *Section) (*Sighting, error) {
	var none []int
	_ = none[len(none)]
	return nil, nil
}

func TestDetectorPanics(t *testing.T) {
	for _, d := range []mad{{true}, {false}} {
		w := New(Limits{MaxBytes: 1 << 20, MaxDepth: 8, MaxMembers: 100}, nil, nil, new(Scratch))
		s := w.Section(t.Context(), backendtest.CleanContent(t), 10)
		s.Head = []byte("head")
		if seen := w.ask(t.Context(), d, s); seen != nil {
			t.Errorf("%+v: %+v", d, seen)
		}
	}
}

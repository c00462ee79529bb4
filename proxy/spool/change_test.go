package spool

import (
	"path/filepath"
	"testing"
)

// TestPrepareWithoutApply checks that nothing changes and nothing is left.
func TestPrepareWithoutApply(t *testing.T) {
	first, second := t.TempDir(), filepath.Join(t.TempDir(), "second")
	s := newSpool(t, Config{Dir: first, Total: 1 << 20})
	before, set := s.Stats(), s.set
	for _, cfg := range []Config{{Dir: second, Total: 2 << 20}, {Dir: first, Total: 2 << 20}} {
		c, err := s.Prepare(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if s.Stats() != before || s.set != set {
			t.Errorf("changed to %+v", s.Stats())
		}
		c.Release()
	}
	if left := tree(t, second); len(left) > 0 {
		t.Errorf("left in the directory that is not used: %q", left)
	}
	if !inPlace(set.dir.sub) {
		t.Error("the directory in use was released")
	}
}

package registry

import (
	"slices"
	"testing"
)

func TestNames(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || len(names) != len(Backends) {
		t.Errorf("Names() = %q", names)
	}
	for _, want := range []string{"clamd", "inspect"} {
		if !slices.Contains(names, want) {
			t.Errorf("Names() = %q, want %q in it", names, want)
		}
	}
}

// TestConfigs wants a fresh configuration from each call, so that two engines
// share nothing.
func TestConfigs(t *testing.T) {
	for name, newConfig := range Backends {
		a, b := newConfig(), newConfig()
		if a == nil || a == b {
			t.Errorf("%s: %v and %v", name, a, b)
		}
	}
}

package registry

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	keys := Keys()
	if !slices.IsSorted(keys) || len(slices.Compact(keys)) != len(Rows()) {
		t.Errorf("Keys() = %q, want them sorted and unique", keys)
	}
	for _, key := range []string{"clamd", "inspect"} {
		if !slices.Contains(keys, key) {
			t.Errorf("Keys() = %q has no %q", keys, key)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, r := range Rows() {
		if got, ok := Lookup(r.Key); !ok || got.Key != r.Key {
			t.Errorf("Lookup(%q) = %+v, %v", r.Key, got, ok)
		}
	}
	if r, ok := Lookup("clamav"); ok {
		t.Errorf("Lookup of an unknown key = %+v", r)
	}
}

// TestRows checks that every row is complete, and that two engines never share a
// configuration.
func TestRows(t *testing.T) {
	for _, r := range Rows() {
		if a, b := r.NewConfig(), r.NewConfig(); a == nil || a == b {
			t.Errorf("%s: NewConfig returned %v and %v", r.Key, a, b)
		}
		if a := r.Abilities; r.Products == "" || !a.Virus || a.Source == "" || a.Tested == "" {
			t.Errorf("%s: incomplete row %+v", r.Key, r)
		}
	}
}

// TestEveryFolderHasARow finds the backends by the NewConfig in their source.
func TestEveryFolderHasARow(t *testing.T) {
	newConfig := regexp.MustCompile(`(?m)^func NewConfig\(\) backends\.Config`)
	files, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var folders []string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if newConfig.Match(source) {
			folders = append(folders, filepath.Base(filepath.Dir(file)))
		}
	}
	slices.Sort(folders)
	if !slices.Equal(folders, Keys()) {
		t.Errorf("folders with NewConfig: %q\nrows: %q", folders, Keys())
	}
}

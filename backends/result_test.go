package backends_test

import (
	"reflect"
	"testing"

	"polyclam/backends"
)

func TestFound(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  backends.Category
	}{
		{nil, backends.Virus},
		{[]string{""}, backends.Virus},
		{[]string{"Heuristics.Encrypted.Zip"}, backends.Encrypted},
		{[]string{"Heuristics.Encrypted.Zip", "Heuristics.Limits.Exceeded.MaxFiles"}, backends.Encrypted},
		{[]string{"Heuristics.Limits.Exceeded.MaxFiles", "Heuristics.Encrypted.Zip"}, backends.Encrypted},
		{[]string{"Heuristics.Encrypted.Zip", "Heuristics.Broken.Executable"}, backends.Suspicious},
		{[]string{"Heuristics.Encrypted.Zip", "Win.Trojan.A", "Heuristics.Broken.Executable"}, backends.Virus},
	} {
		r := backends.Found(7, c.names...)
		if r.Category != c.want || r.Code != 7 || len(r.Findings) != len(c.names) {
			t.Errorf("Found(7, %q) = %+v, want %v", c.names, r, c.want)
		}
		for i, f := range r.Findings {
			if f.Name != c.names[i] || f.Category != backends.NameCategory(f.Name) {
				t.Errorf("Found(7, %q): finding %d is %+v", c.names, i, f)
			}
		}
	}
}

func TestStrongest(t *testing.T) {
	all := backends.Categories()
	for i, a := range all {
		for j, b := range all {
			got := backends.Strongest([]backends.Finding{{Category: a}, {Category: b}})
			if want := all[min(i, j)]; got != want {
				t.Errorf("Strongest(%v, %v) = %v, want %v", a, b, got, want)
			}
			if got := backends.Stronger(a, b); got != (i < j) {
				t.Errorf("Stronger(%v, %v) = %v", a, b, got)
			}
		}
	}
	if got := backends.Strongest(nil); got != backends.Virus {
		t.Errorf("Strongest(nil) = %v", got)
	}
	if !backends.Stronger("nonsense", backends.OK) || backends.Stronger("nonsense", backends.Partial) {
		t.Error("an unknown category does not count as swerr")
	}
}

func TestCategories(t *testing.T) {
	want := []backends.Category{"virus", "suspicious", "encrypted", "partial", "swerr", "interrupted", "cannot-execute", "not-installed", "ok"}
	got := backends.Categories()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("Categories() = %v", got)
	}
	got[0] = "changed"
	if backends.Categories()[0] != backends.Virus {
		t.Error("a caller can change what Categories returns")
	}
	failures := map[backends.Category]bool{"swerr": true, "interrupted": true, "cannot-execute": true, "not-installed": true, "": true, "OK": true, "nonsense": true}
	for _, c := range append(want, "", "OK", "nonsense") {
		if c.IsFailure() != failures[c] {
			t.Errorf("%q.IsFailure() = %v", c, c.IsFailure())
		}
	}
	for _, c := range want {
		if !c.Valid() {
			t.Errorf("%q is not valid", c)
		}
	}
	for _, c := range []backends.Category{"", "OK", "nonsense"} {
		if c.Valid() {
			t.Errorf("%q is valid", c)
		}
	}
}

func TestClean(t *testing.T) {
	if r := backends.Clean(4); r.Category != backends.OK || r.Code != 4 || r.Findings != nil || r.Detail != "" {
		t.Errorf("Clean(4) = %+v", r)
	}
	if (backends.Result{}).Category.Valid() {
		t.Error("the zero result is valid")
	}
}

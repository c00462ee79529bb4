package packaging

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// modules is the part of a list of modules (CycloneDX) that the test reads.
type modules struct {
	Metadata struct {
		Properties []struct{ Name, Value string }
	}
	Components []struct{ Name, Version string }
}

// testModules compares the lists of modules, and the licences in an unpacked package, with
// what is in the programs.
func testModules(t *testing.T, dir, dist string) {
	t.Helper()
	licences, err := os.ReadFile(filepath.Join(dir, "usr/share/doc/polyclam/copyright"))
	if err != nil {
		t.Fatal(err)
	}
	sections := licenceSections(string(licences))
	want := map[string]bool{"Go": true}
	for _, program := range []string{"polyclam", "polyclamd"} {
		path := filepath.Join(dir, "usr/bin", program)
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		linked := []string{"std " + info.GoVersion}
		for _, m := range info.Deps {
			linked = append(linked, m.Path+" "+m.Version)
			want[m.Path+" "+m.Version] = true
		}
		data, err := os.ReadFile(filepath.Join(dist, program+"_1.2.3_amd64.cdx.json"))
		if err != nil {
			t.Fatal(err)
		}
		var list modules
		if err := json.Unmarshal(data, &list); err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, c := range list.Components {
			listed = append(listed, c.Name+" "+c.Version)
		}
		slices.Sort(linked)
		slices.Sort(listed)
		if !slices.Equal(linked, listed) {
			t.Errorf("%s has %q, its list %q", program, linked, listed)
		}
		binary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(binary)
		if !slices.Contains(list.Metadata.Properties, struct{ Name, Value string }{"cdx:gomod:binary:hash:SHA-256", hex.EncodeToString(sum[:])}) {
			t.Errorf("the list of %s does not have its SHA-256", program)
		}
	}
	for name := range want {
		if len(sections[name]) < 50 {
			t.Errorf("the copyright file has %q for %s", sections[name], name)
		}
	}
	if len(sections) != len(want) {
		t.Errorf("licences of %q, want those of %q", slices.Sorted(maps.Keys(sections)), slices.Sorted(maps.Keys(want)))
	}
}

// licenceSections returns the texts in a copyright file by module and version.
func licenceSections(text string) map[string]string {
	all := map[string]string{}
	for i, section := range strings.Split(text, "\n==== ") {
		if name, body, _ := strings.Cut(section, "\n"); i > 0 {
			all[name] = strings.TrimSpace(body)
		}
	}
	return all
}

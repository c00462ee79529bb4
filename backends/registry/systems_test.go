package registry

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

const (
	readme = "../../README.md"
	begin  = "<!-- engines: go test ./backends/registry -update -->\n"
	end    = "<!-- end of engines -->\n"
)

// TestReadme compares the table of engines in the manual with the one generated from
// the code.
func TestReadme(t *testing.T) {
	testkit.GoldenSection(t, readme, begin, end, Table())
}

// TestSystems wants a row for every backend and the engines that users ask for, each
// with its source and how it was tested.
func TestSystems(t *testing.T) {
	var names strings.Builder
	backends := map[string]bool{}
	for _, s := range Systems() {
		names.WriteString(s.Name + "\n")
		key, _, _ := strings.Cut(s.Backend, ",")
		backends[key] = true
		if s.Abilities.Source == "" || s.Abilities.Tested == "" {
			t.Errorf("%s: source %q, tested %q", s.Name, s.Abilities.Source, s.Abilities.Tested)
		}
		if !s.Abilities.Virus {
			t.Errorf("%s cannot tell a virus", s.Name)
		}
	}
	for _, want := range []string{"clamd", "SSSP", "Sophie", "Trophie", "sophos-sweep", "sophos-savscan", "sophos-savscan-eec",
		"sophos-spl-avscanner", "ICAP", "fpscand", "f-protd", "Avast", "fsavd", "drwebd", "Kaspersky Scan Engine", "kavdaemon",
		"aveserver", "SAVAPI", "HTTP scanners", "another polyclam", "clamscan", "clamdscan", "yara", "any command line"} {
		if !strings.Contains(names.String(), want) {
			t.Errorf("no row for %s", want)
		}
	}
	if got := slices.Sorted(maps.Keys(backends)); !slices.Equal(got, Names()) {
		t.Errorf("rows for %q, backends %q", got, Names())
	}
	if got := slices.Sorted(maps.Keys(Abilities)); !slices.Equal(got, Names()) {
		t.Errorf("abilities of %q, backends %q", got, Names())
	}
}

package registry

import (
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of engines into docs/engines.md")

const (
	page  = "../../docs/engines.md"
	begin = "<!-- engines: go test ./backends/registry -update -->\n"
	end   = "<!-- end of engines -->\n"
)

// TestTable compares the table in docs/engines.md with that of the code.
func TestTable(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks of the table of engines", page)
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+Table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != Table() {
		t.Errorf("the table of engines in %s is not the one of the code: go test ./backends/registry -update", page)
	}
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

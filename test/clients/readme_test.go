package clients

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table into docs/clients/README.md")

// TestReadme compares the table in docs/clients/README.md with the outcomes that
// TestClients wants, and has seen when it passes.
func TestReadme(t *testing.T) {
	const head, tail = "<!-- table: go test ./test/clients -run Readme -update -->\n", "<!-- end of the table -->\n"
	path := filepath.Join(recipes, "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(content), head)
	_, after, ended := strings.Cut(rest, tail)
	if !ok || !ended {
		t.Fatalf("%s lacks %q or %q", path, head, tail)
	}
	want := before + head + markdown() + tail + after
	if want == string(content) {
		return
	}
	if !*update {
		t.Fatalf("the table of %s is not what the clients conclude; run go test ./test/clients -run Readme -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// markdown is the table of expected outcomes, with the reasons for its marks.
func markdown() string {
	var b strings.Builder
	b.WriteString("| client |")
	for _, k := range cases {
		fmt.Fprintf(&b, " %s |", k.name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(cases)) + "\n")
	var marks []string
	for _, c := range all() {
		fmt.Fprintf(&b, "| [%s](%s) |", c.name, c.recipe)
		for _, k := range cases {
			fmt.Fprintf(&b, " %s", c.want(k.name))
			if why := c.why(k.name); why != "" {
				marks = unique(append(marks, why))
				fmt.Fprintf(&b, " [%d]", indexOf(marks, why))
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	b.WriteString("\nLet through without a scan:\n\n")
	for i, why := range marks {
		fmt.Fprintf(&b, "%d. %s\n", i+1, why)
	}
	b.WriteString("\nOtherwise than with clamd itself:\n\n")
	for _, c := range all() {
		for _, k := range cases {
			if why := c.differs[k.name]; why != "" {
				fmt.Fprintf(&b, "* %s, %s: %s\n", c.name, k.name, why)
			}
		}
	}
	return b.String()
}

package clients

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// TestReadme compares the table in docs/clients/README.md with the outcomes that
// TestClients wants, and has seen when it passes.
func TestReadme(t *testing.T) {
	const head, tail = "<!-- table: go test ./test/clients -run Readme -update -->\n", "<!-- end of the table -->\n"
	testkit.GoldenSection(t, filepath.Join(recipes, "README.md"), head, tail, markdown())
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

package registry

import (
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
	"polyclam/backends/command"
	"polyclam/test/testkit"
)

// TestTable compares the table in docs/engines.md with the rows.
func TestTable(t *testing.T) {
	testkit.GoldenSection(t, "../../docs/engines.md",
		"<!-- engines: go test ./backends/registry -update -->\n", "<!-- end of engines -->\n", table())
}

// table is the table of engines in Markdown: a row for every backend, then one for every
// preset of the command backend.
func table() string {
	var b strings.Builder
	b.WriteString("| product | backend | findings | details | source of the mapping | tested with |\n|---|---|---|---|---|---|\n")
	for _, r := range rows {
		writeRow(&b, r.Products, r.Key, r.Abilities)
	}
	for _, p := range command.Presets() {
		writeRow(&b, p.Name+" ("+p.Status+")", "command", p.Abilities())
	}
	return b.String()
}

func writeRow(b *strings.Builder, products, backend string, a backends.Abilities) {
	findings := list([]bool{a.Virus, a.Suspicious, a.Encrypted, a.Partial}, "virus", "suspicious", "encrypted", "partial")
	details := list([]bool{a.Names, a.Version, a.DatabaseAge}, "names", "version", "database age")
	fmt.Fprintf(b, "| %s | `%s` | %s | %s | %s | %s |\n", cell(products), backend, findings, details, cell(a.Source), cell(a.Tested))
}

// list joins the words that are true.
func list(is []bool, words ...string) string {
	var list []string
	for i, word := range words {
		if is[i] {
			list = append(list, word)
		}
	}
	return strings.Join(list, ", ")
}

// cell replaces the characters that would end a table cell.
func cell(text string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(text) }

package registry

import (
	"fmt"
	"strings"

	"polyclam/backends"
	"polyclam/backends/command"
)

// Table returns the manual's table of engines in Markdown: a row for every backend, then
// one for every preset of the command backend.
func Table() string {
	var b strings.Builder
	b.WriteString("| system | backend | virus | suspicious | encrypted | partial | names | version | database age | source of the mapping | tested with |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		writeRow(&b, r.Products, r.Key, r.Abilities)
	}
	for _, p := range command.Presets() {
		writeRow(&b, p.Name+" ("+p.Status+")", "command, preset "+p.Name, p.Abilities())
	}
	return b.String()
}

func writeRow(b *strings.Builder, products, backend string, a backends.Abilities) {
	fmt.Fprintf(b, "| %s | `%s` ", cell(products), backend)
	for _, reports := range []bool{a.Virus, a.Suspicious, a.Encrypted, a.Partial, a.Names, a.Version, a.DatabaseAge} {
		b.WriteString("| " + yesOrDash(reports) + " ")
	}
	fmt.Fprintf(b, "| %s | %s |\n", cell(a.Source), cell(a.Tested))
}

func yesOrDash(yes bool) string {
	if yes {
		return "yes"
	}
	return "–"
}

// cell replaces the characters that would end a table cell.
func cell(text string) string { return strings.NewReplacer("|", "/", "\n", " ").Replace(text) }

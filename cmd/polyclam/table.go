package main

import (
	"strings"
	"text/tabwriter"
)

// table is text in aligned columns, with a header. Cells are escaped when they are added.
type table struct{ rows [][]string }

func newTable(header ...string) *table { return &table{rows: [][]string{header}} }

// add adds a row with one cell per column. An empty cell is shown as "-".
func (t *table) add(cells ...string) {
	row := make([]string, len(cells))
	for i, c := range cells {
		row[i] = printable(c)
		if c == "" {
			row[i] = "-"
		}
	}
	t.rows = append(t.rows, row)
}

// write writes the lines, each after an indent.
func (t *table) write(b *strings.Builder, indent string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		w.Write([]byte(indent + strings.Join(row, "\t") + "\n"))
	}
	w.Flush()
}

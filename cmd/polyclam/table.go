package main

import (
	"strings"
	"unicode/utf8"
)

// table is text in aligned columns, a header first. Cells are escaped when they
// are added.
type table struct {
	rows [][]string
}

func newTable(header ...string) *table { return &table{rows: [][]string{header}} }

// add adds a row with a cell for each column; an empty one is shown as "-".
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

// write writes the lines, each behind an indent and without trailing blanks.
func (t *table) write(b *strings.Builder, indent string) {
	widths := make([]int, len(t.rows[0]))
	for _, row := range t.rows {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, row := range t.rows {
		line := indent
		for i, c := range row {
			line += c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

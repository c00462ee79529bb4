// Package report formats tables for a terminal and for pages of the documentation.
package report

import (
	"strings"
	"unicode/utf8"
)

// A Grid is a table of texts, for a terminal or for a page of the documentation.
type Grid struct {
	Head []string
	Rows [][]string
}

// Add adds a row, with as many cells as the head.
func (g *Grid) Add(cells ...string) { g.Rows = append(g.Rows, cells) }

// Text aligns the columns.
func (g *Grid) Text() string {
	widths := make([]int, len(g.Head))
	for _, row := range append([][]string{g.Head}, g.Rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	line := func(row []string) {
		var l strings.Builder
		for i, c := range row {
			l.WriteString(c + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
		}
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	line(g.Head)
	for _, row := range g.Rows {
		line(row)
	}
	return b.String()
}

// Markdown is the same table in Markdown.
func (g *Grid) Markdown() string {
	var b strings.Builder
	line := func(row []string) { b.WriteString("| " + strings.Join(row, " | ") + " |\n") }
	line(g.Head)
	b.WriteString(strings.Repeat("|---", len(g.Head)) + "|\n")
	for _, row := range g.Rows {
		line(row)
	}
	return b.String()
}

package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is something wrong or doubtful in a configuration file.
type Problem struct {
	File string
	Line int    // from 1
	Key  string // e.g. "engine.timeout"; empty for a syntax error
	Text string // what is wrong, and what to write
}

// String returns "file:LINE: key: text", always on one line.
func (p Problem) String() string {
	s := fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text)
	if p.Key != "" {
		s = fmt.Sprintf("%s:%d: %s: %s", p.File, p.Line, p.Key, p.Text)
	}
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return '?'
	}, s)
}

// Problems are all problems in a file, sorted by line.
type Problems []Problem

// Error implements error, with one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// First returns the first problem, and how many more there are.
func (p Problems) First() string {
	text := p[0].String()
	if more := len(p) - 1; more > 0 {
		text += fmt.Sprintf(" (and %d more)", more)
	}
	return text
}

// Sort sorts by line, stably.
func (p Problems) Sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

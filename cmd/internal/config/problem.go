package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one thing that is wrong, or doubtful, in a configuration file.
type Problem struct {
	File string
	Line int    // from 1
	Key  string // e.g. "engine.timeout"; empty for an error of syntax
	Text string // what is wrong; what would be right
}

// String returns "file:LINE: key: what is wrong; what would be right".
// It is one line whatever stands in the file.
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

// Problems is everything that is wrong in a file, in the order of its lines.
type Problems []Problem

// Error implements error, with one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// sort orders by line; problems of one line keep their order.
func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
}

// unknown says that word is none of known, with the nearest of them, or all if
// none is near.
func unknown(what, word string, known []string) error {
	if near := nearest(word, known); near != "" {
		return fmt.Errorf("unknown %s %q; did you mean %q?", what, word, near)
	}
	if len(known) == 0 {
		return fmt.Errorf("unknown %s %q; there is none", what, word)
	}
	return fmt.Errorf("unknown %s %q; known: %s", what, word, strings.Join(known, ", "))
}

// nearest returns the one of known that word is most likely a misspelling of,
// or "".
func nearest(word string, known []string) string {
	const longest = 64 // bytes: a longer word is no misspelling, and distance is quadratic
	if len(word) > longest {
		return ""
	}
	best, bestDistance := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := distance(normal(word), normal(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

func normal(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// distance is Levenshtein's, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

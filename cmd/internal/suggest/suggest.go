// Package suggest guesses what a misspelled word was meant to be.
package suggest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxWord is the length, in bytes, of the longest word that is compared: a comparison
// takes time quadratic in the length.
const maxWord = 64

// Nearest returns the known word that word most likely misspells, or "". It ignores case
// and treats hyphens as underscores.
func Nearest(word string, known []string) string {
	if len(word) > maxWord {
		return ""
	}
	best, limit := "", max(1, (len(word)+1)/3)
	for _, k := range known {
		if d := levenshtein.Distance(normal(word), normal(k), nil); d <= limit {
			best, limit = k, d-1
		}
	}
	return best
}

func normal(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// Unknown returns the message for an unknown word. It suggests the nearest known word,
// one that contains word or that word begins with, or else lists all of them. what is a
// noun, such as "key".
func Unknown(what, word string, known []string) string {
	near := Nearest(word, known)
	if i := slices.IndexFunc(known, func(k string) bool { return overlap(normal(word), k) }); near == "" && i >= 0 {
		near = known[i]
	}
	if near != "" {
		return fmt.Sprintf("unknown %s %q; did you mean %q?", what, word, near)
	}
	if len(known) == 0 {
		return fmt.Sprintf("unknown %s %q; there is none", what, word)
	}
	return fmt.Sprintf("unknown %s %q; known: %s", what, word, strings.Join(known, ", "))
}

func overlap(word, known string) bool {
	return len(word) > 2 && strings.Contains(known, word) || len(known) > 1 && strings.HasPrefix(word, known)
}

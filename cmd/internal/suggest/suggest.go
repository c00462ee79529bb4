// Package suggest guesses what a misspelled word was meant to be.
package suggest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
)

// maxWord is the length of the longest word, in bytes, that can be a misspelling:
// the time for a comparison grows with the square of it.
const maxWord = 64

// Nearest returns the word of known that word most likely misspells, or "" if there
// is none. It ignores case and takes a hyphen for an underscore.
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

// Unknown returns the message that word is not a known one: with the nearest known
// word, or one that contains word or that word begins with, or else all of them. what is
// a noun, such as "key".
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

package engine

import (
	"strings"
	"unicode/utf8"
)

// bounded shortens s for the log: what an engine sent may be of any length.
func bounded(s string) string {
	const limit = 200
	if len(s) > limit {
		end := limit
		for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

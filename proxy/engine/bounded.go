package engine

import (
	"strings"
	"unicode/utf8"
)

// bounded shortens text from an engine, which may be of any length, for the log.
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

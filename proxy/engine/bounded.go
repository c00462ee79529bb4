package engine

import (
	"strings"
	"unicode/utf8"
)

// Limits on text from an engine, which may be of any length, in the log and the status.
const (
	maxName   = 200
	maxReason = 600 // may name a socket, a user, its groups and the remedy
)

// bounded shortens a name or an address.
func bounded(s string) string { return shortened(s, maxName) }

func shortened(s string, limit int) string {
	if len(s) > limit {
		end := limit
		for end > limit-utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// reasonText returns the text of an error of n. It leaves out the backend and the address,
// which are always shown next to it.
func (n *node) reasonText(err error) string {
	text := err.Error()
	at := " " + n.address + ": "
	if i := strings.Index(text, at); i >= 0 && n.address != "" {
		text = text[:strings.LastIndexByte(text[:i], ' ')+1] + text[i+len(at):]
	}
	return shortened(text, maxReason)
}

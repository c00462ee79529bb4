// Package ascii parses and checks the short texts of line protocols.
package ascii

import (
	"strconv"
	"strings"
)

// Status splits an answer such as "451 text": three digits, then one of the separators or
// nothing. Without three digits the code is 0.
func Status(text, separators string) (code int, rest string) {
	if len(text) < 3 || len(text) > 3 && !strings.Contains(separators, text[3:4]) {
		return 0, text
	}
	for _, r := range text[:3] {
		if r < '0' || r > '9' {
			return 0, text
		}
	}
	code, _ = strconv.Atoi(text[:3])
	return code, strings.TrimSpace(text[min(4, len(text)):])
}

// IsWord reports whether s needs no escaping in a command: up to 64 letters, digits and
// underscores.
func IsWord(s string) bool {
	for _, r := range s {
		if (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// IsPrintable reports whether s is a short text of printable ASCII without spaces, such
// as an engine version.
func IsPrintable(s string) bool {
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 100
}

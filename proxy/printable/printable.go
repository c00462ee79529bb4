// Package printable makes foreign text safe for every kind of log.
package printable

import (
	"fmt"
	"strconv"
	"strings"
)

// Escape replaces bytes that are not printable ASCII by \xNN, doubles backslashes, and
// cuts off everything after limit bytes of s.
func Escape(s string, limit int) string {
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b.WriteString(`\\`)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	if cut {
		b.WriteString("...")
	}
	return b.String()
}

// Unescape reverses Escape with the same limit. It reports false if Escape has cut off the
// end, or if s is not a result of Escape.
func Unescape(s string, limit int) (string, bool) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		rest := s[i:]
		switch {
		case rest[0] != '\\':
			b = append(b, rest[0])
		case strings.HasPrefix(rest, `\\`):
			b = append(b, '\\')
			i++
		case len(rest) >= len(`\xNN`) && rest[1] == 'x':
			n, err := strconv.ParseUint(rest[2:4], 16, 8)
			if err != nil {
				return s, false
			}
			b = append(b, byte(n))
			i += len("xNN")
		default:
			return s, false
		}
	}
	return string(b), len(b) <= limit
}

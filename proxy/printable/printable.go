// Package printable makes foreign text safe for every kind of log.
package printable

import (
	"fmt"
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

package proxy

import (
	"fmt"
	"strings"
)

// Limits on foreign text in the log.
const (
	maxLoggedName = 256
	maxLoggedPath = 4096
	maxLoggedList = 16
)

func escapeAll(names []string) []string {
	out := make([]string, 0, min(len(names), maxLoggedList))
	for _, n := range names[:min(len(names), maxLoggedList)] {
		out = append(out, escape(n, maxLoggedName))
	}
	return out
}

// escape makes s safe for every kind of log. Bytes that are not printable ASCII become
// \xNN, backslashes are doubled, and everything after limit bytes is cut off.
func escape(s string, limit int) string {
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

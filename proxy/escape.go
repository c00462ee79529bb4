package proxy

import "polyclam/proxy/printable"

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

// escape makes s safe for the log.
func escape(s string, limit int) string { return printable.Escape(s, limit) }

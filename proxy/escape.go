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
		out = append(out, printable.Escape(n, maxLoggedName))
	}
	return out
}

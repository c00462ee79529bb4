//go:build race

package nowait

// watched says whether the race detector is on. Only package syscall tells it that a write
// happens before the read at the other end.
const watched = true

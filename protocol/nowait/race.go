//go:build race

package nowait

// watched is whether the race detector runs. Package syscall tells it that what was done
// before a write is done before the read at the other end.
const watched = true

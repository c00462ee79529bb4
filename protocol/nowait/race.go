//go:build race

package nowait

// With the race detector, reads and writes use package syscall, which tells the detector
// that a write happens before the read at the other end.
const watched = true

package spool

import "time"

// DefaultTotal is the quota on a machine with enough memory.
const DefaultTotal = 2 << 30

// DefaultKeep is how many bytes of memfds are kept at most.
const DefaultKeep = 64 << 20

// Defaults returns the settings of a spool that is not configured: in memory, without
// a directory.
func Defaults() Config {
	return Config{Memory: 256 << 10, Total: DefaultTotal, Keep: DefaultKeep, Store: Memfd, PathMode: 0o600, PathGroup: -1, Wait: 30 * time.Second}
}

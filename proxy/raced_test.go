//go:build race

package proxy

// raced: the race detector needs more stack.
const raced = true

//go:build race

package proxy

// raced: the race detector needs stack of its own.
const raced = true

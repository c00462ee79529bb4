//go:build !race

package nowait

const watched = false

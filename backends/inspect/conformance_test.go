package inspect

import (
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestConformance(t *testing.T) {
	backendtest.Run(t, func(t *testing.T) backends.Backend { return open(t, nil) }, backendtest.Options{Encrypted: true, NoTrace: true})
}

// TestConformanceHashing runs the suite with a hash list that requires reading every byte.
func TestConformanceHashing(t *testing.T) {
	list := writeFile(t, "local.hsb", "0000000000000000000000000000000000000000:*:Nothing\n")
	backendtest.Run(t, func(t *testing.T) backends.Backend {
		return open(t, func(c *Config) { c.Hashes = []string{list} })
	}, backendtest.Options{Encrypted: true, NoTrace: true})
}

package sssp

import (
	"bytes"
	"fmt"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/sssp/ssspfake"
)

// BenchmarkScan compares kept connections with a new one for each scan, for an object of
// 10 KB. A new connection costs the greeting, SSSP/1.0 and OPTIONS.
func BenchmarkScan(b *testing.B) {
	object := backendtest.Bytes(b, bytes.Repeat([]byte("a"), 10_000))
	for _, network := range []string{"unix", "tcp"} {
		for _, kept := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/kept=%v", network, kept), func(b *testing.B) {
				s := ssspfake.Start(b, ssspfake.Options{Network: network})
				engine := open(b, s.Address(), func(c *Config) { c.Sessions = kept })
				for b.Loop() {
					if r, err := engine.Scan(b.Context(), object); err != nil || r.Category != backends.OK {
						b.Fatal(r, err)
					}
				}
			})
		}
	}
}

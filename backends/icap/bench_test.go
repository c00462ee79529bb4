package icap

import (
	"fmt"
	"testing"

	"polyclam/backends/backendtest"
)

// BenchmarkScan compares a connection for each scan with kept connections that are reused
// immediately, for objects of 10 KiB.
func BenchmarkScan(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, keep := range []bool{false, true} {
			b.Run(fmt.Sprintf("tls=%v/keepalive=%v", secure, keep), func(b *testing.B) {
				f := startFake(b, map[string]service{"avscan": says(recorded204)})
				if secure {
					f, _ = tlsFake(b)
				}
				backend := reuses(open(b, f.address(), func(c *Config) {
					c.KeepAlive, c.TLS.TLS, c.InsecureSkipVerify = keep, secure, secure
				}))
				object := backendtest.LargeObject(b, 10<<10)
				for b.Loop() {
					if _, err := backend.Scan(b.Context(), object); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

package engineconn

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/test/testkit"
)

// BenchmarkScan compares kept connections with a new one for each scan, for an object of
// 10 KB.
func BenchmarkScan(b *testing.B) {
	cert, key := certificate(b)
	for _, network := range []string{"unix", "tcp", "tls"} {
		for _, kept := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/kept=%v", network, kept), func(b *testing.B) {
				dialogue, socket, set := echo(nil), network, func(*Client) {}
				if network == "tls" {
					dialogue, socket, set = over(server(b, cert, key, tls.VersionTLS13), dialogue), "tcp", secure(b, TLS{CA: cert})
				}
				c := &Client{Engine: "test", Keep: kept, Dialer: Dialer{Network: socket, Address: listen(b, socket, dialogue), Timeout: 5 * time.Second}}
				set(c)
				c.Open()
				defer c.Close()
				object := bytes.Repeat([]byte("a"), 10_000)
				for b.Loop() {
					if r, err := scan(b.Context(), c, object); err != nil || r.Category != backends.OK {
						b.Fatal(r, err)
					}
				}
			})
		}
	}
}

func listen(b *testing.B, network string, dialogue func(net.Conn)) string {
	b.Helper()
	l := testkit.Listen(b, network)
	testkit.ServeOn(b, l, func(nc net.Conn) { dialogue(nc); io.Copy(io.Discard, nc) })
	return l.Addr().String()
}

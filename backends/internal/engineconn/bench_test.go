package engineconn

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"polyclam/backends"
)

// BenchmarkScan compares kept connections with one for each scan, for an object of
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
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(b.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	b.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer nc.Close(); dialogue(nc); io.Copy(io.Discard, nc) })
		}
	})
	return l.Addr().String()
}

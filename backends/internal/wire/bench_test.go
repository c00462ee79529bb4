package wire

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// BenchmarkScan compares a connection for each scan with kept connections that are reused
// immediately, for objects of 10 KiB.
func BenchmarkScan(b *testing.B) {
	for _, secure := range []bool{false, true} {
		for _, keep := range []bool{false, true} {
			b.Run(fmt.Sprintf("tls=%v/keepalive=%v", secure, keep), func(b *testing.B) {
				s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					io.Copy(io.Discard, r.Body)
					io.WriteString(w, "OK")
				}))
				if secure {
					s.StartTLS()
				} else {
					s.Start()
				}
				defer s.Close()
				c := client(b, "tcp:"+s.Listener.Addr().String(), func(o *Options) {
					o.KeepAlive, o.TLS.TLS, o.InsecureSkipVerify = keep, secure, secure
				})
				c.conns.Cooldown = 0
				c.conns.Open()
				object := backendtest.LargeObject(b, 10<<10)
				for b.Loop() {
					if _, err := c.Scan(b.Context(), post(object), says(backends.OK)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

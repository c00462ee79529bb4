package clamd_test

import (
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/clamd"
	"polyclam/backends/internal/engineconn"
	"polyclam/protocol"
	"polyclam/test/testkit"
)

// secureClamd is a server with TLS that scans streams in sessions, and counts connections.
func secureClamd(t *testing.T, ca *testkit.Authority, stray bool, connections *atomic.Int64) string {
	t.Helper()
	conf := &tls.Config{Certificates: []tls.Certificate{ca.Issue("clam.test").Load(t)}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert}
	return testkit.Serve(t, "tcp", func(nc net.Conn) {
		c := tls.Server(nc, conf)
		if c.Handshake() != nil {
			return
		}
		connections.Add(1)
		conn := protocol.NewConn(c)
		for id := 0; ; id++ {
			cmd, err := conn.ReadCommand()
			if err != nil {
				return
			}
			if cmd.Verb != protocol.VerbInstream {
				continue
			}
			if _, err := conn.Stream(0, time.Minute).WriteTo(io.Discard); err != nil {
				return
			}
			reply := string('0'+byte(id)) + ": stream: OK\x00"
			if stray {
				reply += string('1'+byte(id)) + ": stream: OK\x00" // for a request that has not come
			}
			conn.WriteReply([]byte(reply), time.Minute)
		}
	})
}

// TestSessionsOverTLS checks that sessions are kept over TLS, and not with unread input.
func TestSessionsOverTLS(t *testing.T) {
	ca := testkit.NewAuthority(t)
	own := ca.Issue("polyclam.test")
	for _, stray := range []bool{false, true} {
		var connections atomic.Int64
		address := secureClamd(t, ca, stray, &connections)
		c := clamd.NewConfig().(*clamd.Config)
		c.TLS = engineconn.TLS{TLS: true, CA: ca.File, Certificate: own.Certificate, Key: own.Key, ServerName: "clam.test"}
		b, err := c.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		defer b.(io.Closer).Close()
		failed := 0
		for range 5 {
			r, err := b.Scan(t.Context(), backendtest.Bytes(t, []byte(strings.Repeat("x", 300_000))))
			if err != nil || r.Category != backends.OK {
				failed++
			}
		}
		if n := connections.Load(); !stray && (n != 1 || failed > 0) || stray && n < 5 {
			t.Errorf("stray %v: %d connections for 5 scans, %d failed", stray, n, failed)
		}
	}
}

// TestTLSErrors checks that the errors name the key.
func TestTLSErrors(t *testing.T) {
	ca, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	own := ca.Issue("polyclam.test")
	var n atomic.Int64
	address := secureClamd(t, ca, false, &n)
	for want, keys := range map[string]engineconn.TLS{
		"key ca":          {TLS: true, CA: foreign.File, Certificate: own.Certificate, Key: own.Key, ServerName: "clam.test"},
		"key server_name": {TLS: true, CA: ca.File, Certificate: own.Certificate, Key: own.Key, ServerName: "other.test"},
	} {
		c := clamd.NewConfig().(*clamd.Config)
		c.TLS = keys
		b, err := c.Open(address)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Scan(t.Context(), backendtest.Bytes(t, []byte("x")))
		if err == nil || !strings.Contains(err.Error(), want) || backends.CategoryOf(err) != backends.CannotExecute {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c := clamd.NewConfig().(*clamd.Config)
	c.TLS.CA = ca.File
	if _, err := c.Open(address); err == nil || !strings.Contains(err.Error(), "tls = true") {
		t.Errorf("keys without tls: %v", err)
	}
	c.TLS.TLS = true
	if _, err := c.Open("unix:/x"); err == nil || !strings.Contains(err.Error(), "tls") {
		t.Errorf("tls on a Unix socket: %v", err)
	}
}

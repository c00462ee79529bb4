package main

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"polyclam/protocol"
	"polyclam/proxy/certs"
	"polyclam/test/testkit"
)

// TestTLSAddress asks servers with TLS, and checks what is said if that fails.
func TestTLSAddress(t *testing.T) {
	ca, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	own := ca.Issue("tool.test")
	serve := func(i testkit.Issued, clients bool, names ...string) string {
		conf := &tls.Config{Certificates: []tls.Certificate{i.Load(t)}}
		if len(names) > 0 {
			s, err := certs.Load(certs.Files{Certificate: i.Certificate, Key: i.Key, ClientCA: ca.File, ClientNames: names})
			if err != nil {
				t.Fatal(err)
			}
			conf = s.Config()
		}
		if clients {
			conf.ClientCAs, conf.ClientAuth = ca.Pool(), tls.RequireAndVerifyClientCert
		}
		address := testkit.Serve(t, "tcp", func(nc net.Conn) {
			c := tls.Server(nc, conf)
			if c.Handshake() == nil {
				conn := protocol.NewConn(c)
				if _, err := conn.ReadCommand(); err == nil {
					conn.WriteReply([]byte("PONG\x00"), time.Minute)
				}
			}
		})
		return "tls" + strings.TrimPrefix(address, "tcp")
	}
	good, open := serve(ca.Issue("clam.test"), true), serve(ca.Issue("127.0.0.1"), false)
	named := serve(ca.Issue("clam.test"), false, "other.test")
	expired := serve(ca.IssueUntil(time.Now().Add(-time.Hour), "clam.test"), false)
	plain := "tls" + strings.TrimPrefix(testkit.Serve(t, "tcp", func(nc net.Conn) { nc.Write([]byte("PONG\x00 and more")) }), "tcp")
	for _, tt := range []struct {
		args []string
		want string // in the output
	}{
		{[]string{"--address", open, "--ca", ca.File}, "PONG in"},
		{[]string{"--address", good, "--ca", ca.File, "--certificate", own.Certificate, "--key", own.Key, "--server-name", "clam.test"}, "PONG in"},
		{[]string{"--address", open, "--ca", foreign.File}, "unknown authority signed the server's certificate (--ca)"},
		{[]string{"--address", open, "--ca", ca.File, "--server-name", "x.test"}, "for another name, not x.test (--server-name)"},
		{[]string{"--address", expired, "--ca", ca.File, "--server-name", "clam.test"}, "is not valid now, only from"},
		{[]string{"--address", plain, "--ca", ca.File}, "does not use TLS at this address"},
		{[]string{"--address", good, "--ca", ca.File, "--server-name", "clam.test"}, "certificate"},
		{[]string{"--address", "tcp" + strings.TrimPrefix(open, "tls")}, "or does the port use TLS, so that tls: is needed"},
		{[]string{"--address", named, "--ca", ca.File, "--certificate", own.Certificate, "--key", own.Key, "--server-name", "clam.test"}, "the server requires another client certificate: bad certificate (--certificate, --key)"},
		{[]string{"--address", open, "--certificate", own.Certificate}, "need each other"},
		{[]string{"--address", open, "--ca", own.Key}, "there is no certificate in"},
		{[]string{"--address", "tls:x"}, "write \"tls:host:port\""},
		{[]string{"--address", "unix:/x", "--ca", ca.File}, "need --address tls:host:port"},
		{[]string{"--ca", ca.File}, "need --address tls:host:port"},
	} {
		var out strings.Builder
		tl := &tool{stdout: &out, stderr: &out}
		tl.run(append(tt.args, "ping"))
		if got := out.String(); !strings.Contains(got, tt.want) || strings.Contains(got, "i/o timeout") {
			t.Errorf("%q: %s, want %q", tt.args, got, tt.want)
		}
	}
}

package engineconn

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

// certificate writes a self-signed certificate for engine.test, usable by server and
// client, to PEM files.
func certificate(t testing.TB) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "engine.test"}, DNSNames: []string{"engine.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", raw), write("key.pem", "EC PRIVATE KEY", der)
}

// server returns the TLS configuration of an engine with the certificate.
func server(t testing.TB, cert, key string, version uint16) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version, ClientCAs: pool}
}

// over runs a dialogue over TLS.
func over(conf *tls.Config, dialogue func(net.Conn)) func(net.Conn) {
	return func(nc net.Conn) {
		tc := tls.Server(nc, conf)
		if tc.Handshake() == nil {
			dialogue(tc)
		}
	}
}

// secure sets the TLS keys of a client.
func secure(t testing.TB, keys TLS) func(*Client) {
	return func(c *Client) {
		keys.TLS = true
		conf, err := keys.Config("tcp", "engine.test:1")
		if err != nil {
			t.Fatal(err)
		}
		c.Dialer.TLS = conf
	}
}

var versions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

// TestTLS scans objects of all sizes on new and kept connections. In TLS 1.3 session
// tickets arrive before the first request is complete; they are not an early answer.
func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	for name, version := range versions {
		for _, kept := range []bool{false, true} {
			backendtest.NoLeaks(t)
			connections := 0
			address := serve(t, "tcp", over(server(t, cert, key, version), echo(nil)))
			c := client(t, "tcp", address, func(c *Client) {
				secure(t, TLS{CA: cert})(c)
				c.Keep = kept
				c.Hello = func(*Conn) error { connections++; return nil }
			})
			for _, size := range sizes {
				for _, virus := range []bool{false, true} {
					object, want := bytes.Repeat([]byte("a"), size), backends.OK
					if virus {
						object, want = append(object, "virus"...), backends.Virus
					}
					r, err := scan(t.Context(), c, object)
					if err != nil || r.Category != want {
						t.Errorf("%s, kept %v, %d bytes: %+v, %v, want %v", name, kept, size, r, err, want)
					}
				}
			}
			if want := 2 * len(sizes); kept && connections != 1 || !kept && connections != want {
				t.Errorf("%s, kept %v: %d connections", name, kept, connections)
			}
			c.Close()
		}
	}
}

// TestTLSTickets reads the tickets of the handshake in the middle of a request.
func TestTLSTickets(t *testing.T) {
	cert, key := certificate(t)
	for range 20 {
		address := serve(t, "tcp", over(server(t, cert, key, tls.VersionTLS13), func(nc net.Conn) {
			echo(nil)(nc)
		}))
		c := client(t, "tcp", address, secure(t, TLS{CA: cert}))
		for _, size := range []int{1, 3 * bufferSize} {
			if r, err := scan(t.Context(), c, make([]byte, size)); err != nil || r.Category != backends.OK {
				t.Fatalf("%d bytes: %+v, %v", size, r, err)
			}
		}
	}
}

// TestTLSEarly is [TestEarly] with TLS.
func TestTLSEarly(t *testing.T) {
	cert, key := certificate(t)
	for name, version := range versions {
		for answer, want := range map[string]backends.Category{"CLEAN\n": "", "LOCKED\n": "", "VIRUS\n": backends.Virus} {
			for after, then := range map[string]func(net.Conn){
				"stops reading": func(net.Conn) { <-t.Context().Done() },
				"reads on":      func(nc net.Conn) { io.Copy(io.Discard, nc) },
			} {
				address := serve(t, "tcp", over(server(t, cert, key, version), func(nc net.Conn) {
					io.ReadFull(nc, make([]byte, 70))
					io.WriteString(nc, answer)
					then(nc)
				}))
				c := client(t, "tcp", address, secure(t, TLS{CA: cert}))
				r, err := scan(t.Context(), c, make([]byte, 8<<20))
				if r.Category != want || (err == nil) != (want != "") {
					t.Errorf("%s, %q, %s: %+v, %v", name, answer, after, r, err)
				}
			}
		}
	}
}

// TestTLSStray is [TestStray] with TLS.
func TestTLSStray(t *testing.T) {
	cert, key := certificate(t)
	for name, version := range versions {
		conf := server(t, cert, key, version)
		address := serve(t, "tcp", over(conf, func(nc net.Conn) {
			echo(func(nc net.Conn, _ int) { io.WriteString(nc, "CLEAN\n") })(nc)
		}), over(conf, echo(nil)))
		c := client(t, "tcp", address, func(c *Client) { secure(t, TLS{CA: cert})(c); c.Keep = true })
		scan(t.Context(), c, []byte("x"))
		waitForStray(t, c)
		if r, err := scan(t.Context(), c, []byte("virus")); err != nil || r.Category != backends.Virus {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

// TestTrust checks which certificates each side trusts.
func TestTrust(t *testing.T) {
	cert, key := certificate(t)
	other, otherKey := certificate(t)
	anyClient := server(t, cert, key, tls.VersionTLS13)
	known := server(t, cert, key, tls.VersionTLS13)
	known.ClientAuth = tls.RequireAndVerifyClientCert
	for _, tt := range []struct {
		name string
		conf *tls.Config
		keys TLS
		ok   bool
	}{
		{"its authority", anyClient, TLS{CA: cert}, true},
		{"another authority", anyClient, TLS{CA: other}, false},
		{"the system's", anyClient, TLS{}, false},
		{"another name", anyClient, TLS{CA: cert, ServerName: "other.test"}, false},
		{"any", anyClient, TLS{InsecureSkipVerify: true}, true},
		{"with a certificate", known, TLS{CA: cert, Certificate: cert, Key: key}, true},
		{"with another certificate", known, TLS{CA: cert, Certificate: other, Key: otherKey}, false},
		{"without a certificate", known, TLS{CA: cert}, false},
	} {
		c := client(t, "tcp", serve(t, "tcp", over(tt.conf, echo(nil))), secure(t, tt.keys))
		r, err := scan(t.Context(), c, []byte("x"))
		if (err == nil) != tt.ok || tt.ok != (r.Category == backends.OK) {
			t.Errorf("%s: %+v, %v", tt.name, r, err)
		}
		if err != nil && tt.conf == anyClient && (backends.CategoryOf(err) != backends.CannotExecute || !backends.Unreachable(err)) {
			t.Errorf("%s: %v is %v", tt.name, err, backends.CategoryOf(err))
		}
	}
}

// TestHandshakeHangs connects to a silent server until connect_timeout or the deadline.
func TestHandshakeHangs(t *testing.T) {
	cert, _ := certificate(t)
	backendtest.NoLeaks(t)
	address := serve(t, "tcp", func(nc net.Conn) { io.Copy(io.Discard, nc) })
	c := client(t, "tcp", address, func(c *Client) { secure(t, TLS{CA: cert})(c); c.Dialer.Timeout = time.Second })
	_, err := scan(t.Context(), c, nil)
	if backends.CategoryOf(err) != backends.CannotExecute || !strings.Contains(err.Error(), "no TLS handshake within 1s (key connect_timeout)") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	c = client(t, "tcp", address, secure(t, TLS{CA: cert}))
	if _, err = scan(ctx, c, nil); !backends.CategoryOf(err).IsFailure() {
		t.Errorf("got %v", err)
	}
	backendtest.WantPlain(t, err)
}

// TestTLSKeys checks that an error in a TLS key names the key.
func TestTLSKeys(t *testing.T) {
	cert, key := certificate(t)
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		network string
		keys    TLS
		want    string // empty: valid
	}{
		{"tcp", TLS{}, ""},
		{"tcp", TLS{TLS: true}, ""},
		{"unix", TLS{TLS: true, ServerName: "engine.test"}, ""},
		{"unix", TLS{TLS: true, InsecureSkipVerify: true}, ""},
		{"tcp", TLS{TLS: true, Certificate: cert, Key: key}, ""},
		{"unix", TLS{TLS: true}, "tls: TLS on a Unix socket needs server_name"},
		{"tcp", TLS{TLS: true, CA: empty}, "ca: no certificate"},
		{"tcp", TLS{TLS: true, CA: empty + "x"}, "ca: "},
		{"tcp", TLS{TLS: true, Certificate: cert}, "certificate: needs key"},
		{"tcp", TLS{TLS: true, Key: key}, "key: needs certificate"},
		{"tcp", TLS{TLS: true, Certificate: cert, Key: empty + "x"}, "key: open "},
		{"tcp", TLS{TLS: true, Certificate: empty + "x", Key: key}, "certificate: open "},
		{"tcp", TLS{TLS: true, Certificate: empty, Key: key}, "certificate: "},
		{"tcp", TLS{CA: cert}, "ca: has no effect without tls = true"},
		{"tcp", TLS{Key: key}, "key: has no effect without tls = true"},
		{"tcp", TLS{ServerName: "x"}, "server_name: has no effect without tls = true"},
		{"tcp", TLS{InsecureSkipVerify: true}, "insecure_skip_verify: has no effect without tls = true"},
	} {
		conf, err := tt.keys.Config(tt.network, "host.test:1")
		if (err == nil) != (tt.want == "") || err != nil && !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %q", tt.keys, err, tt.want)
		}
		if err == nil && tt.keys.TLS && tt.keys.ServerName == "" && tt.network == "tcp" && conf.ServerName != "host.test" {
			t.Errorf("%+v: for %q", tt.keys, conf.ServerName)
		}
	}
}

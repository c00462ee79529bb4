package icap

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/testfile"
	"polyclam/test/cicaptest"
	"polyclam/test/testkit"
)

// tlsFake starts the fake with TLS, and returns the path of its certificate.
func tlsFake(t testing.TB) (f *fake, ca string) {
	t.Helper()
	cert, key, err := cicaptest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	return serveFake(t, l, map[string]service{"avscan": marked}), ca
}

// TestClientCertificate uses a server that requires one.
func TestClientCertificate(t *testing.T) {
	cert, key, err := cicaptest.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certPath, keyPath := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := errors.Join(os.WriteFile(certPath, cert, 0o600), os.WriteFile(keyPath, key, 0o600)); err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	f := serveFake(t, l, map[string]service{"avscan": marked})
	trust := func(c *Config) { c.TLS.TLS, c.InsecureSkipVerify = true, true }
	with := open(t, f.address(), trust, func(c *Config) { c.Certificate, c.Key = certPath, keyPath })
	if got := checked(t, with, backendtest.Bytes(t, testfile.EICAR())); got.category != backends.Virus {
		t.Errorf("got %v", got)
	}
	if got := checked(t, open(t, f.address(), trust), backendtest.CleanObject(t)); !got.category.IsFailure() {
		t.Errorf("without a certificate: got %v", got)
	}
}

func TestTLS(t *testing.T) {
	backendtest.NoLeaks(t)
	secure, ca := tlsFake(t)
	address := secure.address()
	silent := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Hang()})
	for _, tt := range []struct {
		name, address string
		set           func(c *Config)
		want          backends.Category
	}{
		{"trusted", address, func(c *Config) { c.TLS.TLS, c.CA, c.ServerName = true, ca, "localhost" }, backends.Virus},
		{"not verified", address, func(c *Config) { c.TLS.TLS, c.InsecureSkipVerify = true, true }, backends.Virus},
		{"another name", address, func(c *Config) { c.TLS.TLS, c.CA = true, ca }, backends.CannotExecute},
		{"unknown authority", address, func(c *Config) { c.TLS.TLS, c.ServerName = true, "localhost" }, backends.CannotExecute},
		{"server without TLS", "", func(c *Config) { c.TLS.TLS, c.InsecureSkipVerify = true, true }, backends.CannotExecute},
		{"silent server", silent.Address(), func(c *Config) {
			c.TLS.TLS, c.InsecureSkipVerify, c.ConnectTimeout = true, true, 50*time.Millisecond
		}, backends.CannotExecute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.address == "" {
				tt.address = testkit.Serve(t, "tcp", func(nc net.Conn) { io.WriteString(nc, recorded404) })
			}
			b := open(t, tt.address, tt.set)
			defer b.Close()
			if got := checked(t, b, backendtest.Bytes(t, testfile.EICAR())); got.category != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("TLS without tls", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if r, err := open(t, address).Scan(ctx, backendtest.CleanObject(t)); err == nil {
			t.Errorf("got %+v", r)
		}
	})
	t.Run("context ends during the handshake", func(t *testing.T) {
		b := open(t, silent.Address(), func(c *Config) { c.TLS.TLS, c.InsecureSkipVerify = true, true })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := b.Scan(ctx, backendtest.CleanObject(t))
		// Without a connection in the time for a whole scan, the engine is unreachable.
		if backends.CategoryOf(err) != backends.CannotExecute {
			t.Errorf("got %v (%v)", err, backends.CategoryOf(err))
		}
	})
	t.Run("kept", func(t *testing.T) {
		b, before := reuses(open(t, address, keeps, func(c *Config) { c.TLS.TLS, c.InsecureSkipVerify = true, true })), secure.connections()
		for range 5 {
			if got := checked(t, b, backendtest.LargeObject(t, 100<<10)); got.category != backends.OK {
				t.Fatal(got)
			}
		}
		if n := secure.connections() - before; n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

package polyclam

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/backends"
	"polyclam/backends/backendtest"
	"polyclam/backends/internal/engineconn"
	"polyclam/proxy"
	"polyclam/proxy/certs"
	"polyclam/proxy/spool"
	"polyclam/proxy/spool/spooltest"
	"polyclam/test/testkit"
)

// secureServer runs polyclam's server with TLS at an address of the loopback network, until
// stop is called or the test ends. Clients need a certificate for client.test.
func secureServer(t *testing.T, ca *testkit.Authority, address string) (at string, stop func()) {
	t.Helper()
	issued := ca.Issue("clam.test")
	source, err := certs.Load(certs.Files{Certificate: issued.Certificate, Key: issued.Key, ClientCA: ca.File, ClientNames: []string{"client.test"}})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	at = "tcp:" + ln.Addr().String()
	cfg := configuration(at, []remoteEngine{{name: "one", backend: finds(backends.Virus, 3, "Some.Name")}, {name: "two", backend: clean()}})
	cfg.Listeners[0].TLS = source.Config()
	cfg.Limits.Handshakes, cfg.Limits.HandshakeTimeout = 10, patience
	s := proxy.NewServer(proxy.ServerOptions{Config: cfg, Spool: spooltest.New(t, spool.Config{}), Log: zerolog.Nop(), Version: "test", Stop: func() {}})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(ln, at); !errors.Is(err, proxy.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		wg.Wait()
	})
	t.Cleanup(stop)
	return at, stop
}

func openSecure(t *testing.T, address string, keys engineconn.TLS) backends.Backend {
	t.Helper()
	c := NewConfig().(*Config)
	c.TLS = keys
	c.TLS.TLS = true
	b, err := c.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestOverTLS scans with client certificates, with a server that stops, and one with the
// certificate of another authority that starts at its address.
func TestOverTLS(t *testing.T) {
	ca, next := testkit.NewAuthority(t), testkit.NewAuthority(t)
	own, nextOwn := ca.Issue("client.test"), next.Issue("client.test")
	address, stop := secureServer(t, ca, "127.0.0.1:0")
	b := openSecure(t, address, engineconn.TLS{CA: ca.File, Certificate: own.Certificate, Key: own.Key, ServerName: "clam.test"})
	scan := func(b backends.Backend, what string) {
		t.Helper()
		for _, size := range []int{1, 300_000} {
			r, err := b.Scan(testContext(t), backendtest.Bytes(t, []byte(strings.Repeat("x", size))))
			if err != nil || r.Category != backends.Virus || len(r.Findings) != 1 || r.Findings[0].Name != "Some.Name" {
				t.Errorf("%s: %+v, %v", what, r, err)
			}
		}
	}
	fails := func(what, want string) {
		t.Helper()
		_, err := b.Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
		if err == nil || !strings.Contains(err.Error(), want) || !backends.CategoryOf(err).IsFailure() {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	scan(b, "first")
	if v, err := b.(backends.Versioner).Version(testContext(t)); err != nil || v == (backends.Version{}) {
		t.Errorf("version: %+v, %v", v, err)
	}
	stop()
	fails("stopped", "connection refused")
	_, stop = secureServer(t, ca, strings.TrimPrefix(address, "tcp:"))
	scan(b, "after a restart")
	stop()
	secureServer(t, next, strings.TrimPrefix(address, "tcp:"))
	fails("another authority", "key ca")
	scan(openSecure(t, address, engineconn.TLS{CA: next.File, Certificate: nextOwn.Certificate, Key: nextOwn.Key, ServerName: "clam.test"}), "a new configuration")
}

// TestTLSErrors checks that errors name the key.
func TestTLSErrors(t *testing.T) {
	ca, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	own, other := ca.Issue("client.test"), ca.Issue("other.test")
	address, _ := secureServer(t, ca, "127.0.0.1:0")
	for _, tt := range []struct {
		name, want string
		keys       engineconn.TLS
	}{
		{"authority", "(key ca)", engineconn.TLS{CA: foreign.File, ServerName: "clam.test"}},
		{"name", "(key server_name)", engineconn.TLS{CA: ca.File, ServerName: "other.test"}},
		{"no certificate", "certificate required", engineconn.TLS{CA: ca.File, ServerName: "clam.test"}},
		{"client not allowed", "bad certificate", engineconn.TLS{CA: ca.File, ServerName: "clam.test", Certificate: other.Certificate, Key: other.Key}},
	} {
		_, err := openSecure(t, address, tt.keys).Scan(testContext(t), backendtest.Bytes(t, []byte("x")))
		if err == nil || !strings.Contains(err.Error(), tt.want) || !backends.CategoryOf(err).IsFailure() {
			t.Errorf("%s: %v (%s), want %q", tt.name, err, backends.CategoryOf(err), tt.want)
		}
	}
	for _, change := range []func(*Config) string{
		func(c *Config) string { c.TLS.CA = ca.File; return address },
		func(c *Config) string { c.TLS.TLS = true; return "unix:/x" },
		func(c *Config) string {
			c.TLS.TLS, c.Certificate, c.Key = true, own.Certificate, other.Key
			return address
		},
	} {
		c := NewConfig().(*Config)
		var key *backends.KeyError
		if _, err := c.Open(change(c)); !errors.As(err, &key) {
			t.Errorf("%v", err)
		}
	}
}

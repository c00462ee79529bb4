package wire

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"polyclam/backends"
	"polyclam/backends/backendtest"
)

func TestTLS(t *testing.T) {
	backendtest.NoLeaks(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	address := "tcp:" + s.Listener.Addr().String()
	c := client(t, address, func(o *Options) { o.TLS.TLS, o.CA, o.ServerName, o.KeepAlive = true, ca, "example.com", true })
	c.conns.Cooldown = 0
	c.conns.Open()
	for range 3 {
		r, err := c.Do(backendtest.Context(t), post(backendtest.LargeObject(t, 1<<20)))
		if err != nil || string(r.Body) != "1048576 <nil>" {
			t.Fatalf("got %+v, %v", r, err)
		}
	}
	if n := c.conns.Idle(); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
	c.Close()
	for name, change := range map[string]func(*Options){
		"authority": func(o *Options) { o.TLS.TLS = true },
		"name":      func(o *Options) { o.TLS.TLS, o.CA, o.ServerName = true, ca, "other.example" },
	} {
		_, err := client(t, address, change).Do(backendtest.Context(t), post(backendtest.Bytes(t, nil)))
		if backends.CategoryOf(err) != backends.CannotExecute {
			t.Errorf("%s: %v is %v", name, err, backends.CategoryOf(err))
		}
	}
	insecure := client(t, address, func(o *Options) { o.TLS.TLS, o.InsecureSkipVerify = true, true })
	if _, err := insecure.Do(backendtest.Context(t), post(backendtest.Bytes(t, nil))); err != nil {
		t.Error(err)
	}
	insecure.Close()
}

// TestHandshakeHangs checks that a silent server is unreachable.
func TestHandshakeHangs(t *testing.T) {
	backendtest.NoLeaks(t)
	d := backendtest.StartDaemon(t, "tcp", backendtest.Script{backendtest.Hang()})
	c := client(t, d.Address(), func(o *Options) { o.TLS.TLS, o.ConnectTimeout = true, 50*time.Millisecond })
	if _, err := c.Do(backendtest.Context(t), post(backendtest.Bytes(t, nil))); backends.CategoryOf(err) != backends.CannotExecute {
		t.Errorf("%v is %v", err, backends.CategoryOf(err))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c = client(t, d.Address(), func(o *Options) { o.TLS.TLS = true })
	// Not even connected within the time for a whole scan: the engine is unreachable.
	if _, err := c.Do(ctx, post(backendtest.Bytes(t, nil))); backends.CategoryOf(err) != backends.CannotExecute {
		t.Errorf("%v is %v", err, backends.CategoryOf(err))
	}
}

func TestOptions(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		address string
		change  func(*Options)
		want    string
	}{
		{"", nil, `address: test needs one, for example "tcp:`},
		{"http://127.0.0.1", nil, `or "tcp:host:port"`},
		{"tcp:a b:80", nil, `address: "tcp:a b:80" has no valid host name`},
		{"tcp:a\r\nX: y:80", nil, "address"},
		{"tcp:h:1", func(o *Options) { o.ConnectTimeout = 0 }, "connect_timeout"},
		{"tcp:h:1", func(o *Options) { o.Headers = map[string]string{"A b": "c"} }, `headers: "A b" is not the name of a header field`},
		{"tcp:h:1", func(o *Options) { o.Headers = map[string]string{"A": "c\r\nX: y"} }, "printable"},
		{"tcp:h:1", func(o *Options) { o.Headers = map[string]string{"content-length": "1"} }, "headers: polyclam sets content-length itself"},
		{"tcp:h:1", func(o *Options) { o.CA = empty }, "ca: has no effect without tls = true"},
		{"tcp:h:1", func(o *Options) { o.TLS.TLS, o.CA = true, empty }, "no certificate"},
		{"tcp:h:1", func(o *Options) { o.TLS.TLS, o.CA = true, filepath.Join(dir, "missing") }, "no such file"},
		{"tcp:h:1", func(o *Options) { o.TLS.TLS, o.Certificate = true, empty }, "certificate: needs key"},
		{"unix:/s", func(o *Options) { o.TLS.TLS = true }, "tls: TLS on a Unix socket needs server_name"},
	} {
		o := DefaultOptions()
		if tt.change != nil {
			tt.change(&o)
		}
		if _, err := o.Client("test", "tcp:127.0.0.1:1", tt.address, "", 1); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %q in it", tt.address, err, tt.want)
		}
	}
	c := client(t, "unix:/s", func(o *Options) { o.Headers = map[string]string{"Host": "av.example", "X-B": "2", "X-A": "1"} })
	if c.Host != "av.example" || fmt.Sprint(c.Fields) != "[{X-A 1} {X-B 2}]" {
		t.Errorf("%q, %v", c.Host, c.Fields)
	}
	for _, bad := range []string{"", "x", "/a b", "/a\r\n", "/\x00", "http://h/"} {
		if CheckTarget("path", bad) == nil {
			t.Errorf("target %q", bad)
		}
	}
}

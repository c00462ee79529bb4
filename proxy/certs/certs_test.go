package certs

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"polyclam/test/testkit"
)

// copyTo overwrites a file with the content of another.
func copyTo(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.pem")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func part(t *testing.T, path string) string {
	t.Helper()
	text := content(t, path)
	return write(t, text[:len(text)/2])
}

func TestLoadErrors(t *testing.T) {
	ca := testkit.NewAuthority(t)
	good, other := ca.Issue("a.test"), ca.Issue("a.test")
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(good.Key)
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Split(string(key), "\n")[1]
	encrypted := write(t, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	for _, tt := range []struct {
		name  string
		files Files
		want  string // "key: path: text"
	}{
		{"no certificate", Files{Certificate: "/none/x", Key: good.Key}, "certificate: /none/x: the directory /none does not exist"},
		{"no file", Files{Certificate: good.Certificate + "x", Key: good.Key}, "there is no such file"},
		{"no key", Files{Certificate: good.Certificate, Key: "/none"}, "key: /none: there is no such file"},
		{"pipe", Files{Certificate: pipe, Key: good.Key}, "certificate: " + pipe + ": this is not a file"},
		{"half a certificate", Files{Certificate: part(t, good.Certificate), Key: good.Key}, "there is no certificate in it"},
		{"half a chain", Files{Certificate: write(t, content(t, good.Certificate)+content(t, part(t, other.Certificate))), Key: good.Key}, "only 1 of the 2 certificates in it are complete"},
		{"half a key", Files{Certificate: good.Certificate, Key: part(t, good.Key)}, "there is no private key in it, or only a part"},
		{"the other key", Files{Certificate: good.Certificate, Key: other.Key}, "key: " + other.Key + ": it does not belong to the certificate in " + good.Certificate},
		{"swapped", Files{Certificate: good.Key, Key: good.Certificate}, "there is no certificate in it"},
		{"a certificate as key", Files{Certificate: good.Certificate, Key: good.Certificate}, "which belongs in the key certificate"},
		{"passphrase", Files{Certificate: good.Certificate, Key: encrypted}, "passphrase"},
		{"damaged", Files{Certificate: write(t, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), Key: good.Key}, "certificate 1 in it is damaged"},
		{"damaged key", Files{Certificate: good.Certificate, Key: write(t, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}, "cannot be used"},
		{"no authority", Files{Certificate: good.Certificate, Key: good.Key, ClientCA: good.Key}, "client_ca: " + good.Key + ": there is no certificate"},
	} {
		_, err := Load(tt.files)
		var file *FileError
		if err == nil || !errors.As(err, &file) || !strings.Contains(file.Key+": "+err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), secret[:16]) {
			t.Errorf("%s: the key is in the error", tt.name)
		}
	}
}

func TestWarnings(t *testing.T) {
	ca := testkit.NewAuthority(t)
	for _, tt := range []struct {
		end  time.Duration
		want string
	}{
		{30 * 24 * time.Hour, ""}, {3 * 24 * time.Hour, "expires on"}, {-time.Hour, "expired on"}, {70 * 24 * time.Hour, "valid only from"},
	} {
		i := ca.IssueUntil(time.Now().Add(tt.end), "a.test")
		s, err := Load(Files{Certificate: i.Certificate, Key: i.Key})
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(s.Warnings(), "")
		if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
			t.Errorf("%v: %q, want %q", tt.end, got, tt.want)
		}
		os.Chmod(i.Key, 0o604)
		if s, err = Load(s.files); err != nil || !strings.Contains(strings.Join(s.Warnings(), ""), "every user") {
			t.Errorf("a key that everybody can read: %v", err)
		}
	}
}

// handshake runs one over a pipe, and returns the server's certificate and both errors.
func handshake(t *testing.T, s *Source, client *tls.Config) (leaf string, clientErr, serverErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	done := make(chan error, 1)
	go func() {
		srv := tls.Server(a, s.Config())
		err := srv.Handshake()
		if err == nil {
			srv.Write([]byte("x")) // with TLS 1.3 the client learns only then that it is let in
		}
		a.Close()
		done <- err
	}()
	c := tls.Client(b, client)
	if clientErr = c.Handshake(); clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1))
		leaf = string(c.ConnectionState().PeerCertificates[0].SerialNumber.String())
	}
	b.Close()
	return leaf, clientErr, <-done
}

func TestClients(t *testing.T) {
	ca, foreign := testkit.NewAuthority(t), testkit.NewAuthority(t)
	srv := ca.Issue("a.test")
	for _, tt := range []struct {
		name    string
		allowed []string
		cert    *testkit.Issued
		want    string // in the server's error; empty: none
	}{
		{"any", nil, new(ca.Issue("x.test")), ""},
		{"none", nil, nil, "didn't provide a certificate"},
		{"foreign", nil, new(foreign.Issue("x.test")), "unknown authority"},
		{"expired", nil, new(ca.IssueUntil(time.Now().Add(-time.Hour), "x.test")), "expired"},
		{"allowed", []string{"y.test", "X.test"}, new(ca.Issue("x.test")), ""},
		{"second name", []string{"x.test"}, new(ca.Issue("z.test", "x.test")), ""},
		{"not allowed", []string{"y.test"}, new(ca.Issue("x.test", "z.test")), "none of the names in the client's certificate is allowed: x.test, z.test"},
		{"wildcard", []string{"x.test"}, new(ca.Issue("*.test")), "is allowed: *.test"},
		{"common name", []string{"common.name"}, new(ca.Issue()), "no name that could be allowed"},
		{"URI", []string{"spiffe://test/mail"}, new(ca.Issue("spiffe://test/mail")), ""},
		{"other URI", []string{"spiffe://test/mail"}, new(ca.Issue("spiffe://test/Mail")), "is allowed: spiffe://test/Mail"},
	} {
		s, err := Load(Files{Certificate: srv.Certificate, Key: srv.Key, ClientCA: ca.File, ClientNames: tt.allowed})
		if err != nil {
			t.Fatal(err)
		}
		client := &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}
		if tt.cert != nil {
			client.Certificates = []tls.Certificate{tt.cert.Load(t)}
			// As a client that does not ask which authorities the server names.
			client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &client.Certificates[0], nil }
		}
		_, clientErr, serverErr := handshake(t, s, client)
		if ok := tt.want == ""; ok != (serverErr == nil) || ok != (clientErr == nil) || !ok && !strings.Contains(serverErr.Error(), tt.want) {
			t.Errorf("%s: %v (client: %v), want %q", tt.name, serverErr, clientErr, tt.want)
		}
	}
}

// TestOldVersions checks that clients need TLS 1.2.
func TestOldVersions(t *testing.T) {
	ca := testkit.NewAuthority(t)
	i := ca.Issue("a.test")
	s, err := Load(Files{Certificate: i.Certificate, Key: i.Key})
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		_, _, err := handshake(t, s, &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test", MinVersion: version, MaxVersion: version})
		if (err == nil) != ok {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
	}
}

// changing is a source whose clock the test moves, and what it has reported.
type changing struct {
	*Source
	t                testing.TB
	ahead            atomic.Int64
	refused, changed atomic.Int64
	client           *tls.Config
}

func newChanging(t *testing.T, ca *testkit.Authority, i testkit.Issued) *changing {
	t.Helper()
	c := &changing{t: t, client: &tls.Config{RootCAs: ca.Pool(), ServerName: "a.test"}}
	s, err := Load(Files{Certificate: i.Certificate, Key: i.Key,
		Refused: func(error) { c.refused.Add(1) }, Changed: func(time.Time) { c.changed.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }
	c.Source = s
	return c
}

// served returns the certificate of a handshake some time later.
func (c *changing) served(t *testing.T, later time.Duration) string {
	t.Helper()
	c.ahead.Add(int64(later))
	leaf, clientErr, serverErr := handshake(t, c.Source, c.client)
	if err := errors.Join(clientErr, serverErr); err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestChange(t *testing.T) {
	ca := testkit.NewAuthority(t)
	used, next, third := ca.Issue("a.test"), ca.Issue("a.test"), ca.Issue("a.test")
	c := newChanging(t, ca, used)
	first := c.served(t, 0)
	copyTo(t, next.Certificate, used.Certificate)
	if got := c.served(t, 0); got != first {
		t.Error("the files were looked at twice in a second")
	}
	// Only the certificate is new: another program is still writing.
	if got := c.served(t, checkPause); got != first || c.refused.Load() != 0 {
		t.Errorf("a pair that does not fit is used, or reported at once: %d", c.refused.Load())
	}
	for range 3 {
		if got := c.served(t, 2*settleTime); got != first {
			t.Error("a pair that does not fit is used")
		}
	}
	testkit.Eventually(t, "the pair is reported", func() bool { return c.refused.Load() > 0 })
	copyTo(t, next.Certificate, used.Certificate) // the same error again
	c.served(t, 2*settleTime)
	copyTo(t, next.Key, used.Key)
	testkit.Eventually(t, "the new certificate is used", func() bool { return c.served(t, checkPause) != first })
	testkit.Eventually(t, "the change is reported", func() bool { return c.changed.Load() == 1 })
	if n := c.refused.Load(); n != 1 {
		t.Errorf("the error is reported %d times, want once", n)
	}
	second := c.served(t, 2*settleTime)
	os.Remove(used.Key)
	if got := c.served(t, checkPause); got != second {
		t.Error("another certificate without a key")
	}
	testkit.Eventually(t, "the missing key is reported", func() bool { return c.refused.Load() == 2 })
	copyTo(t, third.Certificate, used.Certificate)
	copyTo(t, third.Key, used.Key)
	testkit.Eventually(t, "the third certificate is used", func() bool { return c.served(t, checkPause) != second })
}

// TestTouch checks that files with a new time but the same content change nothing.
func TestTouch(t *testing.T) {
	ca := testkit.NewAuthority(t)
	used := ca.Issue("a.test")
	c := newChanging(t, ca, used)
	before := c.used.Load()
	copyTo(t, used.Certificate, used.Certificate)
	c.served(t, checkPause)
	testkit.Eventually(t, "the look has ended", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.running == nil })
	if c.used.Load() != before || c.changed.Load() != 0 {
		t.Error("the same files count as new ones")
	}
}

// TestHang checks that handshakes go on while a look at the files hangs.
func TestHang(t *testing.T) {
	ca := testkit.NewAuthority(t)
	c := newChanging(t, ca, ca.Issue("a.test"))
	c.mu.Lock()
	c.running = make(chan struct{}) // never closed
	c.mu.Unlock()
	for range 3 {
		c.served(t, time.Hour)
	}
}

package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An Authority issues certificates for tests.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	File string // its own certificate, in PEM
}

// NewAuthority returns a new authority, with its certificate in a temporary file.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, key: newKey(t)}
	a.cert = &x509.Certificate{
		SerialNumber: serial(t), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(a.cert, &a.key.PublicKey)
	a.cert, _ = x509.ParseCertificate(der)
	a.File = filepath.Join(t.TempDir(), "ca.pem")
	writePEM(t, a.File, "CERTIFICATE", der)
	return a
}

// Issued is a certificate with its key.
type Issued struct{ Certificate, Key string } // PEM files

// Issue returns a certificate that is valid for 30 days for the names, which are DNS names,
// addresses, or URIs.
func (a *Authority) Issue(names ...string) Issued {
	a.t.Helper()
	return a.IssueUntil(time.Now().Add(30*24*time.Hour), names...)
}

// IssueUntil is Issue with a time at which the certificate expires.
func (a *Authority) IssueUntil(end time.Time, names ...string) Issued {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: serial(a.t), Subject: pkix.Name{CommonName: "common.name"},
		NotBefore: end.Add(-60 * 24 * time.Hour), NotAfter: end, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		ip := net.ParseIP(name)
		switch {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case strings.Contains(name, "://"):
			u, err := url.Parse(name)
			if err != nil {
				a.t.Fatal(err)
			}
			template.URIs = append(template.URIs, u)
		default:
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey(a.t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	i := Issued{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")}
	writePEM(a.t, i.Certificate, "CERTIFICATE", a.sign(template, &key.PublicKey))
	writePEM(a.t, i.Key, "PRIVATE KEY", der)
	return i
}

// Pool returns a pool with the authority's certificate.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Load returns the certificate for a [tls.Config].
func (i Issued) Load(t testing.TB) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(i.Certificate, i.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func (a *Authority) sign(template *x509.Certificate, public *ecdsa.PublicKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return der
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func serial(t testing.TB) *big.Int {
	n, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

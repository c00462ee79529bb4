package cicaptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"polyclam/test/child"
	"time"
)

// tls makes a certificate and returns the line of c-icap.conf for it.
func (s *Server) tls() (string, error) {
	cert, key, err := Certificate()
	if err != nil {
		return "", err
	}
	s.CA = s.path("cert.pem")
	// c-icap reads them as the user it runs as. The key protects nothing.
	for path, text := range map[string][]byte{s.CA: cert, s.path("key.pem"): key} {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return "", err
		}
	}
	port, err := child.Port()
	if err != nil {
		return "", err
	}
	s.TLSAddress = "tcp:127.0.0.1:" + port
	return "TlsPort 127.0.0.1:" + port + " cert=" + s.CA + " key=" + s.path("key.pem"), nil
}

// Certificate makes a self-signed certificate for "localhost" that is valid for a day,
// and its key, both in PEM.
func Certificate() (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		return nil, nil, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), nil
}

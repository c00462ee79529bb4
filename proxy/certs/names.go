package certs

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
)

// A NameError says that a client's certificate has none of the allowed names.
type NameError struct{ Names []string }

// Error implements error.
func (e *NameError) Error() string {
	if len(e.Names) == 0 {
		return "the client's certificate has no name that could be allowed (subjectAltName DNS or URI)"
	}
	return "none of the names in the client's certificate is allowed: " + strings.Join(e.Names, ", ")
}

// maxNames bounds the names in a NameError.
const maxNames = 4

// checkName implements [tls.Config.VerifyConnection].
func (f *Files) checkName(c tls.ConnectionState) error {
	if len(f.ClientNames) == 0 || len(c.PeerCertificates) == 0 {
		return nil // without a certificate the handshake has failed already
	}
	names := namesOf(c.PeerCertificates[0])
	for _, name := range names {
		if slices.ContainsFunc(f.ClientNames, func(allowed string) bool { return sameName(allowed, name) }) {
			return nil
		}
	}
	return &NameError{names[:min(len(names), maxNames)]}
}

// namesOf returns the DNS names and URIs of a certificate. A wildcard is a name like any
// other: it does not stand for the hosts that it would match.
func namesOf(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	return names
}

// sameName compares names: DNS names regardless of case, URIs exactly.
func sameName(a, b string) bool {
	if strings.Contains(a, "://") || strings.Contains(b, "://") {
		return a == b
	}
	return strings.EqualFold(strings.TrimSuffix(a, "."), strings.TrimSuffix(b, "."))
}

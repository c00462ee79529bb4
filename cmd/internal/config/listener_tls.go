package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/balancer"
	"polyclam/proxy/certs"
)

// validateListenerTLS checks the TLS keys of a listener without reading the files: the tool
// reads the configuration too, as users who may not read a private key.
func validateListenerTLS(l *Listener, r *report, at position.Path) {
	unix := strings.HasPrefix(l.Address, "unix:")
	switch {
	case l.TLS && unix:
		r.fail(at.Key("tls"), "a Unix socket has no TLS, and needs none; delete the key, or write a \"tcp:host:port\" address")
	case !l.TLS:
		for key, set := range map[string]bool{"certificate": l.Certificate != "", "key": l.Key != "", "client_ca": l.ClientCA != "", "client_names": len(l.ClientNames) > 0} {
			if set {
				r.fail(at.Key(key), "has no effect without tls = true; set that, or delete the key")
			}
		}
		return
	}
	for _, key := range []string{"certificate", "key"} {
		if (key == "certificate" && l.Certificate == "" || key == "key" && l.Key == "") && !r.isBad(at.Key(key)) {
			r.fail(at.Key("tls"), "needs %s, the PEM file with %s", key, map[string]string{"certificate": "the listener's certificate", "key": "its private key"}[key])
		}
	}
	for key, path := range map[string]string{"certificate": l.Certificate, "key": l.Key, "client_ca": l.ClientCA} {
		if path != "" {
			validatePath(r, at.Key(key), path)
		}
	}
	if key := at.Key("client_names"); len(l.ClientNames) > 0 && l.ClientCA == "" && !r.isBad(at.Key("client_ca")) {
		r.fail(key, "needs client_ca, the PEM file with the authorities of the clients' certificates")
	}
	for i, name := range l.ClientNames {
		if key := at.Key("client_names").Element(i); name == "" || strings.ContainsAny(name, " \t*") {
			r.fail(key, "%q is not a name; write a DNS name as in the client's certificate, for example \"mail.example.org\", or a URI", name)
		}
	}
	if l.StreamCommand {
		r.fail(at.Key("stream_command"), "not possible with tls = true: the object would arrive unencrypted on another port; delete one of them")
	}
}

const unixBalancer = "unix" // in proxy_protocol: every balancer on a Unix socket

// validateProxyProtocol checks proxy_protocol of a listener.
func validateProxyProtocol(l *Listener, r *report, at position.Path) {
	key := at.Key("proxy_protocol")
	if r.isBad(key) {
		return
	}
	unix := strings.HasPrefix(l.Address, "unix:")
	for i, text := range l.ProxyProtocol {
		switch p, err := parseBalancer(text); {
		case text == unixBalancer && !unix:
			r.fail(key.Element(i), "\"unix\" stands for the clients of a Unix socket, and this is a TCP listener; write the load balancer's address")
		case text == unixBalancer:
		case err != nil:
			r.fail(key.Element(i), "%v", err)
		case unix:
			r.fail(key.Element(i), "%q: clients of a Unix socket have no address; write \"unix\"", text)
		case p.Bits() == 0:
			r.fail(key.Element(i), "%q trusts everyone: any client could claim any address; write the addresses of the load balancers", text)
		}
	}
	if l.StreamCommand && len(l.ProxyProtocol) > 0 {
		r.fail(at.Key("stream_command"), "not possible with proxy_protocol: the second connection would come from another address; delete one of them")
	}
}

// parseBalancer parses an address or a network.
func parseBalancer(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is not an address or a network; write one such as \"10.0.0.5\", \"10.0.0.0/24\" or \"2001:db8::/64\", or \"unix\"", text)
	}
	if m := p.Masked(); m != p {
		return p, fmt.Errorf("%q has bits beyond its length; write %q", text, m)
	}
	return p, nil
}

// balancers returns the load balancers of a valid listener.
func (l *Listener) balancers() (t balancer.Trusted) {
	for _, text := range l.ProxyProtocol {
		if p, err := parseBalancer(text); err == nil {
			t.Prefixes = append(t.Prefixes, p)
		}
	}
	t.Unix = slices.Contains(l.ProxyProtocol, unixBalancer)
	return t
}

// Shakes reports whether connections to any listener begin with a TLS handshake or a PROXY
// header.
func (f *File) Shakes() bool {
	return slices.ContainsFunc(f.Listeners, func(l Listener) bool { return l.TLS || len(l.ProxyProtocol) > 0 })
}

// tlsSources are the certificates that have been loaded, by listener table: a name may stand
// for several sockets.
type tlsSources map[position.Path]*certs.Source

// config loads the files of a listener, and returns its TLS configuration, or nil.
func (s tlsSources) config(f *File, l *Listener, r *report, log zerolog.Logger) *tls.Config {
	if !l.TLS {
		return nil
	}
	source, ok := s[l.path]
	if !ok {
		source = loadCertificates(f, l, r, log)
		s[l.path] = source
	}
	if source == nil {
		return nil
	}
	return source.Config()
}

func loadCertificates(f *File, l *Listener, r *report, log zerolog.Logger) *certs.Source {
	return loadFiles(f, l.path, r, log.With().Str("listener", l.Configured).Logger(),
		certs.Files{Certificate: l.Certificate, Key: l.Key, ClientCA: l.ClientCA, ClientNames: l.ClientNames})
}

// HTTPCertificates loads the files of [http], which has TLS, and returns its configuration.
// It adds what is doubtful to the warnings.
func (f *File) HTTPCertificates(log zerolog.Logger) (*tls.Config, Problems) {
	h, r := &f.HTTP, &report{file: f.Name, lines: f.lines}
	source := loadFiles(f, httpPath, r, log.With().Str("listener", h.Address).Logger(),
		certs.Files{Certificate: h.Certificate, Key: h.Key, ClientCA: h.ClientCA, ClientNames: h.ClientNames})
	if source == nil {
		return nil, r.problems
	}
	return source.Config(), nil
}

// loadFiles loads the files of the table at path, or reports what is wrong with them and
// returns nil. Later changes are logged.
func loadFiles(f *File, path position.Path, r *report, log zerolog.Logger, files certs.Files) *certs.Source {
	log = log.With().Str("certificate", files.Certificate).Logger()
	files.Refused = func(err error) {
		log.Error().Str("error", err.Error()).Msg("certificate refused, the old one stays in use")
	}
	files.Changed = func(expires time.Time) { log.Info().Time("expires", expires).Msg("certificate changed") }
	source, err := certs.Load(files)
	if err != nil {
		for _, one := range unjoined(err) {
			key := "certificate"
			var file *certs.FileError
			if errors.As(one, &file) {
				key = file.Key
			}
			r.fail(path.Key(key), "%v", one)
		}
		return nil
	}
	for _, text := range source.Warnings() {
		f.Warn(f.ProblemAt(path.Key("certificate"), "%s", text))
	}
	return source
}

// unjoined returns the errors that are joined in err.
func unjoined(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

package config

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"polyclam/cmd/internal/config/position"
	"polyclam/proxy/allow"
	"polyclam/proxy/balancer"
	"polyclam/proxy/certs"
)

// ServerTLS are the TLS keys of a [[listener]] and of [http]. TLS needs Certificate and Key.
// ClientCA requires certificates of clients, with one of ClientNames if there are any.
type ServerTLS struct {
	TLS         bool     `toml:"tls"`
	Certificate string   `toml:"certificate"`
	Key         string   `toml:"key"`
	ClientCA    string   `toml:"client_ca"`
	ClientNames []string `toml:"client_names"`
}

func (t *ServerTLS) files() certs.Files {
	return certs.Files{Certificate: t.Certificate, Key: t.Key, ClientCA: t.ClientCA, ClientNames: t.ClientNames}
}

// validateServerTLS checks the TLS keys of a table without reading the files: the tool reads
// the configuration too, as users who may not read a private key.
func validateServerTLS(t *ServerTLS, r *report, at position.Path) {
	for _, file := range []struct{ key, path, what string }{
		{"certificate", t.Certificate, "the server's certificate"}, {"key", t.Key, "its private key"}, {"client_ca", t.ClientCA, ""},
	} {
		key := at.Key(file.key)
		switch {
		case !t.TLS && file.path != "":
			r.fail(key, "has no effect without tls = true; set that, or delete the key")
		case t.TLS && file.path == "" && file.what != "" && !r.isBad(key):
			r.fail(at.Key("tls"), "needs %s, the PEM file with %s", file.key, file.what)
		case t.TLS && file.path != "":
			validatePath(r, key, file.path)
		}
	}
	key := at.Key("client_names")
	switch {
	case len(t.ClientNames) == 0:
	case !t.TLS:
		r.fail(key, "has no effect without tls = true; set that, or delete the key")
	case t.ClientCA == "" && !r.isBad(at.Key("client_ca")):
		r.fail(key, "needs client_ca, the PEM file with the authorities of the clients' certificates")
	}
	for i, name := range t.ClientNames {
		if name == "" || strings.ContainsAny(name, " \t*") {
			r.fail(key.Element(i), "%q is not a name; write a DNS name as in the client's certificate, for example \"mail.example.org\", or a URI", name)
		}
	}
}

// validateListenerTLS checks the TLS keys of a listener.
func validateListenerTLS(l *Listener, r *report, at position.Path) {
	if l.TLS && strings.HasPrefix(l.Address, "unix:") {
		r.fail(at.Key("tls"), "a Unix socket has no TLS, and needs none; delete the key, or write a \"tcp:host:port\" address")
	}
	validateServerTLS(&l.ServerTLS, r, at)
	if l.TLS && l.StreamCommand {
		r.fail(at.Key("stream_command"), "not possible with tls = true: the object would arrive unencrypted on another port; delete one of them")
	}
}

const (
	unixBalancer     = "unix" // in proxy_protocol: every balancer on a Unix socket
	balancerExamples = `write one such as "10.0.0.5", "10.0.0.0/24" or "2001:db8::/64", or "unix"`
)

// validateProxyProtocol checks proxy_protocol of a listener.
func validateProxyProtocol(l *Listener, r *report, at position.Path) {
	key := at.Key("proxy_protocol")
	if r.isBad(key) {
		return
	}
	unix := strings.HasPrefix(l.Address, "unix:")
	for i, text := range l.ProxyProtocol {
		switch p, err := allow.ParseNetwork(text, balancerExamples); {
		case text == unixBalancer && !unix:
			r.fail(key.Element(i), "\"unix\" is for balancers that connect to a Unix socket, and this is a TCP listener; write the load balancer's address")
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

// balancers returns the load balancers of a valid listener.
func (l *Listener) balancers() (t balancer.Trusted) {
	for _, text := range l.ProxyProtocol {
		if p, err := allow.ParseNetwork(text, balancerExamples); err == nil {
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
	return loadFiles(f, l.path, r, log.With().Str("listener", l.Configured).Logger(), l.files())
}

// HTTPCertificates loads the files of [http], which has TLS, and returns its configuration.
// It adds what is doubtful to the warnings.
func (f *File) HTTPCertificates(log zerolog.Logger) (*tls.Config, Problems) {
	h, r := &f.HTTP, &report{file: f.Name, lines: f.lines}
	source := loadFiles(f, httpPath, r, log.With().Str("listener", h.Address).Logger(), h.files())
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

package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"polyclam/cmd/internal/config/position"
)

// ClientTLS are the TLS keys of a table that connects to servers other than engines. They
// mean the same as those of an engine.
type ClientTLS struct {
	TLS                bool   `toml:"tls"`
	CA                 string `toml:"ca"`
	Certificate        string `toml:"certificate"`
	Key                string `toml:"key"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

// validate checks the keys without reading the files.
func (t *ClientTLS) validate(r *report, at position.Path, isOn bool) {
	switch {
	case t.Certificate == "" && t.Key != "":
		r.fail(at.Key("key"), "needs certificate, the file with its certificate")
	case t.Certificate != "" && t.Key == "":
		r.fail(at.Key("certificate"), "needs key, the file with its private key")
	}
	for _, k := range []struct {
		key string
		set bool
	}{
		{"ca", t.CA != ""}, {"certificate", t.Certificate != ""}, {"key", t.Key != ""},
		{"server_name", t.ServerName != ""}, {"insecure_skip_verify", t.InsecureSkipVerify},
	} {
		if k.set && !isOn && !r.isBad(at.Key(k.key)) {
			r.fail(at.Key(k.key), "has no effect without tls = true; set that, or delete the key")
		}
	}
}

// A keyError is a problem with a key of a table.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.err.Error() }

// load reads the files.
func (t *ClientTLS) load() (*tls.Config, *keyError) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, &keyError{"ca", plainPathError(err)}
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &keyError{"ca", fmt.Errorf("no certificate in %q; name a PEM file", t.CA)}
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		var file *fs.PathError
		switch {
		case errors.As(err, &file) && file.Path == t.Key:
			return nil, &keyError{"key", plainPathError(err)}
		case err != nil:
			return nil, &keyError{"certificate", plainPathError(err)}
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

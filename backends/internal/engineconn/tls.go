package engineconn

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"

	"polyclam/backends"
)

// TLS holds the TLS keys, which every engine with TLS shares. Unless InsecureSkipVerify
// is set, the server needs a certificate for ServerName (empty: the host of the address)
// from an authority in the PEM file CA (empty: the system's). Certificate and Key are PEM
// files, for a server that verifies its clients.
type TLS struct {
	TLS                bool   `toml:"tls"`
	CA                 string `toml:"ca"`
	Certificate        string `toml:"certificate"`
	Key                string `toml:"key"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

// UsesHost reports whether the host of the address is the name in the certificate.
func (o *TLS) UsesHost() bool { return o.TLS && o.ServerName == "" }

// Config returns the configuration for connections to a node, or nil without TLS. The
// error is a [backends.KeyError].
func (o *TLS) Config(network, address string) (*tls.Config, error) {
	if !o.TLS {
		return nil, o.unused()
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName, InsecureSkipVerify: o.InsecureSkipVerify}
	if conf.ServerName == "" && network == "tcp" {
		conf.ServerName, _, _ = net.SplitHostPort(address)
	}
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		return nil, backends.KeyErrorf("tls", "TLS on a Unix socket needs server_name, the name in the server's certificate")
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, &backends.KeyError{Key: "ca", Err: err}
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, backends.KeyErrorf("ca", "no certificate in %q; name a PEM file", o.CA)
		}
	}
	if o.Certificate != "" || o.Key != "" {
		pair, err := o.pair()
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// pair loads Certificate and Key.
func (o *TLS) pair() (tls.Certificate, error) {
	switch {
	case o.Certificate == "":
		return tls.Certificate{}, backends.KeyErrorf("key", "needs certificate, the file with its certificate")
	case o.Key == "":
		return tls.Certificate{}, backends.KeyErrorf("certificate", "needs key, the file with its private key")
	}
	pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
	var file *fs.PathError
	switch {
	case errors.As(err, &file) && file.Path == o.Key:
		err = &backends.KeyError{Key: "key", Err: err}
	case err != nil:
		err = &backends.KeyError{Key: "certificate", Err: err}
	}
	return pair, err
}

// unused returns an error for keys that have no effect without TLS.
func (o *TLS) unused() error {
	for _, k := range []struct {
		key string
		set bool
	}{
		{"ca", o.CA != ""}, {"certificate", o.Certificate != ""}, {"key", o.Key != ""},
		{"server_name", o.ServerName != ""}, {"insecure_skip_verify", o.InsecureSkipVerify},
	} {
		if k.set {
			return backends.KeyErrorf(k.key, "has no effect without tls = true; set that, or delete the key")
		}
	}
	return nil
}

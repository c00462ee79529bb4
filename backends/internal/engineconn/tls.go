package engineconn

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

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
		pem, err := readPEM(o.CA)
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
	certificate, err := readPEM(o.Certificate)
	if err != nil {
		return tls.Certificate{}, &backends.KeyError{Key: "certificate", Err: err}
	}
	key, err := readPEM(o.Key)
	if err != nil {
		return tls.Certificate{}, &backends.KeyError{Key: "key", Err: err}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		err = &backends.KeyError{Key: "certificate", Err: err}
	}
	return pair, err
}

// maxPEM is the size of the largest PEM file, in bytes.
const maxPEM = 1 << 20

// readPEM reads a PEM file. It waits for no pipe, and reads no device without an end.
func readPEM(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxPEM {
		return nil, fmt.Errorf("%s is not a file of at most 1 MiB, in PEM", path)
	}
	return io.ReadAll(io.LimitReader(f, maxPEM))
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

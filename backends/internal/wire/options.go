package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"polyclam/backends"
)

// Options are the keys that engines which speak HTTP have in common.
type Options struct {
	// Headers are further fields of every request, e.g. for authentication.
	Headers map[string]string `toml:"headers"`
	// KeepAlive keeps connections open between scans.
	KeepAlive bool `toml:"keepalive"`
	// ConnectTimeout bounds the making of a connection, TLS included.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS is for HTTPS. The server's certificate must be from an authority in the
	// PEM file CA (empty: the system's) and for ServerName (empty: the host of the
	// address), unless InsecureSkipVerify. Certificate and Key are PEM files too,
	// for a server that wants to know who asks.
	TLS                bool   `toml:"tls"`
	CA                 string `toml:"ca"`
	Certificate        string `toml:"certificate"`
	Key                string `toml:"key"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{KeepAlive: true, ConnectTimeout: 5 * time.Second}
}

// Client returns the client of the engine at address ("unix:/path",
// "tcp:host:port"), or everything that is wrong with the keys; example is an address
// that would be right.
func (o *Options) Client(engine, example, address string, maxBody int64) (*Client, error) {
	network, addr, err := hostAddress(engine, example, address)
	errs := []error{err}
	if o.ConnectTimeout <= 0 {
		errs = append(errs, fmt.Errorf(`connect_timeout %q: want more than nothing, as in "5s"`, o.ConnectTimeout))
	}
	c := &Client{Host: addr, Keep: o.KeepAlive, MaxBody: maxBody, pool: newPool()}
	if network == "unix" {
		c.Host = "localhost"
	}
	names := make([]string, 0, len(o.Headers))
	for name := range o.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := o.Headers[name]
		errs = append(errs, checkField(name, value))
		if strings.EqualFold(name, "Host") {
			c.Host = value
			continue
		}
		c.Fields = append(c.Fields, Field{name, value})
	}
	conf, err := o.tls(network, addr)
	c.Dialer = Dialer{Network: network, Address: addr, Timeout: o.ConnectTimeout, TLS: conf}
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return c, nil
}

// What may stand in the head of a request: the configuration is trusted, but a blank
// or a line end in it would make another request of ours.
var (
	hostPort = regexp.MustCompile(`^[A-Za-z0-9._:%\[\]-]+$`)
	target   = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$`)
	token    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	printed  = regexp.MustCompile(`^[ -~]*$`)
)

// CheckTarget returns an error if path cannot be the target of a request.
func CheckTarget(key, path string) error {
	if target.MatchString(path) {
		return nil
	}
	return fmt.Errorf(`%s %q: want the path of a URL, as in "/v2/scan"`, key, path)
}

func hostAddress(engine, example, address string) (network, addr string, err error) {
	if address == "" {
		return "", "", fmt.Errorf("address: %s needs one, as in %q", engine, example)
	}
	network, addr, err = backends.ParseAddress(address)
	if err == nil && network == "tcp" && !hostPort.MatchString(addr) {
		err = fmt.Errorf("address %q: not the name of a host", address)
	}
	return network, addr, err
}

// framing are the fields that are ours to write.
var framing = []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Accept-Encoding"}

func checkField(name, value string) error {
	switch {
	case !token.MatchString(name):
		return fmt.Errorf("headers: %q is not the name of a field", name)
	case !printed.MatchString(value):
		return fmt.Errorf("headers: %s: %q has more than printable ASCII", name, value)
	case slices.ContainsFunc(framing, func(f string) bool { return strings.EqualFold(f, name) }):
		return fmt.Errorf("headers: %s is not to be set", name)
	}
	return nil
}

func (o *Options) tls(network, addr string) (*tls.Config, error) {
	if !o.TLS {
		if o.CA != "" || o.Certificate != "" || o.Key != "" || o.ServerName != "" || o.InsecureSkipVerify {
			return nil, errors.New("tls: false, but there are keys that are for TLS only: ca, certificate, key, server_name or insecure_skip_verify")
		}
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.ServerName, InsecureSkipVerify: o.InsecureSkipVerify}
	if conf.ServerName == "" && network == "tcp" {
		conf.ServerName, _, _ = net.SplitHostPort(addr)
	}
	if conf.ServerName == "" && !conf.InsecureSkipVerify {
		return nil, errors.New("server_name: TLS on a Unix socket needs one")
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if conf.RootCAs = x509.NewCertPool(); !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca %q: no certificate in PEM in it", o.CA)
		}
	}
	if o.Certificate != "" || o.Key != "" {
		pair, err := tls.LoadX509KeyPair(o.Certificate, o.Key)
		if err != nil {
			return nil, fmt.Errorf("certificate and key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

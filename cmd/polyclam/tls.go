package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"polyclam/cmd/internal/cli"
)

// tlsFlags are the flags for a tls: address.
type tlsFlags struct{ CA, Certificate, Key, ServerName string }

const tlsPrefix = "tls:"

var errOnlyTLS = cli.Usagef("--ca, --certificate, --key and --server-name need --address tls:host:port")

// flagTarget returns the server at --address.
func (t *tool) flagTarget() (target, error) {
	rest, secure := strings.CutPrefix(t.address, tlsPrefix)
	if !secure {
		one, err := parseTarget(t.address)
		switch {
		case err != nil:
			return one, cli.Usagef("--address: %w", err)
		case t.tls != (tlsFlags{}):
			return one, errOnlyTLS
		}
		return one, nil
	}
	one, err := parseTarget("tcp:" + rest)
	if err != nil {
		return one, cli.Usagef("--address: %q is not an address; write \"tls:host:port\"", t.address)
	}
	one.network = "tls"
	one.tls, err = t.tls.config(one.address)
	return one, err
}

// config reads the files.
func (f *tlsFlags) config(address string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(address)
	}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: there is no certificate in %s; it must be in PEM", f.CA)
		}
	}
	switch {
	case f.Certificate == "" && f.Key == "":
		return c, nil
	case f.Certificate == "" || f.Key == "":
		return nil, cli.Usagef("--certificate and --key need each other")
	}
	pair, err := tls.LoadX509KeyPair(f.Certificate, f.Key)
	if err != nil {
		return nil, fmt.Errorf("--certificate %s and --key %s cannot be used: %s", f.Certificate, f.Key, strings.TrimPrefix(err.Error(), "tls: "))
	}
	c.Certificates = []tls.Certificate{pair}
	return c, nil
}

// dialTLS connects to the server.
func (at target) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := tls.Client(nc, at.tls)
	if err := c.HandshakeContext(ctx); err != nil {
		nc.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, tlsReason(err)
	}
	return quickClose{c}, nil
}

// quickClose is a TLS connection that closes without a message, for which a server that
// does not read would make it wait. It words what the server refuses after its handshake.
type quickClose struct{ *tls.Conn }

func (c quickClose) Close() error { return c.NetConn().Close() }

// Read implements net.Conn. With TLS 1.3 a server refuses a client after the client's
// handshake is complete.
func (c quickClose) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "remote error" {
		err = tlsReason(err)
	}
	return n, err
}

// tlsReason says why there is no TLS connection.
func tlsReason(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var op *net.OpError
	switch {
	case errors.As(err, &authority):
		return errors.New("an unknown authority signed the server's certificate (--ca)")
	case errors.As(err, &name):
		return fmt.Errorf("the server's certificate is for another name, not %s (--server-name)", name.Host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the server's certificate is not valid now, only from %s to %s", invalid.Cert.NotBefore.Format("2 January 2006"), invalid.Cert.NotAfter.Format("2 January 2006"))
	case errors.As(err, new(tls.RecordHeaderError)), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return errors.New("the server does not use TLS at this address, or refuses this client (tcp: instead of tls:, --certificate)")
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Err.Error(), "certificate"):
		return fmt.Errorf("the server requires another client certificate: %s (--certificate, --key)", strings.TrimPrefix(op.Err.Error(), "tls: "))
	}
	return errors.New("TLS: " + strings.TrimPrefix(err.Error(), "tls: "))
}

package icap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"polyclam/backends"
)

// dialer makes connections.
type dialer struct {
	network, address string
	timeout          time.Duration
	tls              *tls.Config // nil: plain
}

// dial connects within the timeout.
func (d dialer) dial(ctx context.Context) (*conn, error) {
	within, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(within, d.network, d.address)
	if err != nil {
		return nil, d.failed(ctx, within, err)
	}
	if d.tls == nil {
		return newConn(raw, raw), nil
	}
	nc := tls.Client(raw, d.tls)
	if err := nc.HandshakeContext(within); err != nil {
		raw.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, unreachable("TLS: " + err.Error())
	}
	return newConn(nc, raw), nil
}

// failed makes an unreachable engine of our own limit; the scan's own deadline
// remains what it is.
func (d dialer) failed(ctx, within context.Context, err error) error {
	var netErr net.Error
	if ctx.Err() == nil && (within.Err() != nil || errors.As(err, &netErr) && netErr.Timeout()) {
		return unreachable("no connection within " + d.timeout.String() + ": " + err.Error())
	}
	return err
}

func unreachable(text string) error {
	return &backends.Failure{Category: backends.CannotExecute, Code: backends.NoCode, Text: text}
}

// tls is the configuration of TLS, nil without it.
func (c *Config) tls(addr, network string) (*tls.Config, error) {
	if !c.TLS {
		for key, set := range map[string]bool{"ca": c.CA != "", "server_name": c.ServerName != "", "insecure_skip_verify": c.InsecureSkipVerify} {
			if set {
				return nil, fmt.Errorf("%s: only with tls = true", key)
			}
		}
		return nil, nil
	}
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: c.serverName(network, addr), InsecureSkipVerify: c.InsecureSkipVerify,
	}
	if t.ServerName == "" && !t.InsecureSkipVerify {
		return nil, errors.New("server_name: TLS over a Unix socket needs the name in the server's certificate")
	}
	if c.CA == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: no certificate in %q; want a PEM file", c.CA)
	}
	return t, nil
}

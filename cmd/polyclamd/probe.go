package main

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"os"
	"time"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/listen"
)

// probeTime is how long a program may take to complete a handshake with --check.
const probeTime = 3 * time.Second

// isShaking reports whether a polyclamd answers where l listens, which begins with a PROXY
// header or TLS.
func isShaking(l *config.Listener, network, address string) bool {
	headers := []string{""}
	if len(l.ProxyProtocol) > 0 { // whether this process counts as a load balancer is not known
		headers = append(headers, "PROXY UNKNOWN\r\n")
	}
	for _, header := range headers {
		own := false
		dial := func(ctx context.Context, network, address string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			if _, err := io.WriteString(nc, header); err != nil || !l.TLS {
				return nc, err
			}
			c := tls.Client(nc, probeTLS(l.Certificate, &own))
			if err := c.HandshakeContext(ctx); err != nil {
				nc.Close()
				return nil, err
			}
			return c, nil
		}
		if listen.IsPolyclamdBy(dial, network, address) || own {
			return true
		}
	}
	return false
}

// hasCertificate reports whether a server with TLS has the certificate in a file.
func hasCertificate(network, address, file string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), probeTime)
	defer cancel()
	nc, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	defer nc.Close()
	own := false
	_ = tls.Client(nc, probeTLS(file, &own)).HandshakeContext(ctx)
	return own
}

// probeTLS returns the configuration of a client that sends nothing secret, and so accepts
// every server. own is set if the server has the certificate in file: one that asks for a
// client's certificate says no more to this client.
func probeTLS(file string, own *bool) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(state tls.ConnectionState) error {
		data, _ := os.ReadFile(file)
		block, _ := pem.Decode(data)
		*own = block != nil && len(state.PeerCertificates) > 0 && string(block.Bytes) == string(state.PeerCertificates[0].Raw)
		return nil
	}}
}

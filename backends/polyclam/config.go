package polyclam

import (
	"cmp"
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/engineconn"
)

// The values of the key transport.
const (
	transportAuto   = "auto"
	transportFildes = "fildes"
	transportStream = "stream"
)

// Config holds the keys of a polyclam engine.
type Config struct {
	// Transport is how the object is sent: "fildes" passes a descriptor (the fastest,
	// only over Unix sockets), "stream" sends the bytes. "auto" means stream over TCP.
	// Over a Unix socket it means fildes, or stream if there is no descriptor or it
	// does not arrive.
	Transport string `toml:"transport"`
	// ConnectTimeout limits the time to connect, including TLS.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS holds the keys for TLS on TCP.
	engineconn.TLS
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportAuto, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) { return c.OpenAt(address, "") }

// UsesHost implements [backends.HostConfig].
func (c *Config) UsesHost() bool { return c.TLS.UsesHost() }

// OpenAt implements [backends.HostConfig].
func (c *Config) OpenAt(address, host string) (backends.Backend, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = errors.New(`polyclam needs one, for example "unix:/run/polyclam/clamd.sock"`)
	}
	if err != nil {
		err = &backends.KeyError{Key: "address", Err: err}
	}
	errs := []error{err, backends.OneOf("transport", c.Transport, transportAuto, transportFildes, transportStream)}
	if c.Transport == transportFildes && network == "tcp" {
		errs = append(errs, backends.KeyErrorf("transport", `"fildes" needs a Unix socket: TCP cannot pass a descriptor; write "stream"`))
	}
	if c.ConnectTimeout <= 0 {
		errs = append(errs, backends.KeyErrorf("connect_timeout", `must be positive, for example "5s"`))
	}
	if c.TLS.TLS && network == "unix" {
		errs = append(errs, backends.KeyErrorf("tls", "a Unix socket has no TLS, and needs none; delete the key"))
	}
	tlsConfig, err := c.TLS.Config(network, cmp.Or(host, addr))
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	b := &Backend{
		node:      clamdclient.New("polyclam", address, engineconn.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout, TLS: tlsConfig}),
		transport: c.transport(network),
		auto:      c.Transport == transportAuto,
	}
	if b.auto && network == "tcp" {
		b.transport = transportStream
	}
	return b, nil
}

// transport returns the transport to begin with.
func (c *Config) transport(network string) string {
	switch {
	case c.Transport != transportAuto:
		return c.Transport
	case network == "unix":
		return transportFildes
	}
	return transportStream
}

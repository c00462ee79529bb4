package clamd

import (
	"cmp"
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/clamdclient"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/idle"
	"polyclam/protocol"
)

// The values of the key transport.
const (
	transportAuto   = "auto"
	transportFildes = "fildes"
	transportStream = "stream"
	transportPath   = "path"
)

// Config holds the keys of a clamd engine.
type Config struct {
	// Transport is how clamd gets the object: "fildes" passes a descriptor (the
	// fastest, only on Unix sockets), "stream" sends the bytes, "path" names a file
	// that clamd must be able to read. "auto" means stream on TCP. On a Unix socket it
	// means fildes, or stream if there is no descriptor or clamd does not receive it.
	Transport string `toml:"transport"`
	// Sessions keeps connections open between scans, with numbered replies. Disable it
	// for a server that lacks IDSESSION.
	Sessions bool `toml:"sessions"`
	// ConnectTimeout limits the time to connect, including TLS.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS holds the keys for TLS on TCP, as through stunnel: clamd itself has none.
	engineconn.TLS
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportAuto, Sessions: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) { return c.OpenAt(address, "") }

// UsesHost implements [backends.HostConfig].
func (c *Config) UsesHost() bool { return c.TLS.UsesHost() }

// OpenAt implements [backends.HostConfig].
func (c *Config) OpenAt(address, host string) (backends.Backend, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = errors.New(`clamd needs one, for example "unix:/run/clamav/clamd.ctl"`)
	}
	if err != nil {
		err = &backends.KeyError{Key: "address", Err: err}
	}
	errs := []error{err, backends.OneOf("transport", c.Transport, transportAuto, transportFildes, transportStream, transportPath)}
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
	return &Backend{
		node:      clamdclient.New("clamd", address, engineconn.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout, TLS: tlsConfig}),
		transport: c.transport(network),
		auto:      c.Transport == transportAuto,
		pool: idle.Pool[*protocol.ClientSession]{
			Disabled: !c.Sessions, IdleLimit: maxIdle, Alive: (*protocol.ClientSession).Open, Discard: endSession,
		},
	}, nil
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

// Abilities says what clamd can report. Encrypted and partial need AlertEncrypted and
// AlertExceedsMax in clamd.conf.
var Abilities = backends.Abilities{
	Virus: true, Suspicious: true, Encrypted: true, Partial: true,
	Names: true, Version: true, DatabaseAge: true,
	Source: "RAN: clamd 1.4.6; texts of 0.103 to 1.5 from its source",
	Tested: "real engine",
}

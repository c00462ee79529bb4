package polyclam

import (
	"errors"
	"fmt"
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
	// Transport is how the object is sent: "fildes" passes a descriptor (the fastest, only
	// over Unix sockets), "stream" sends the bytes. "auto" is stream over TCP; over a Unix
	// socket it is fildes, or stream if there is no descriptor or it does not arrive.
	Transport string `toml:"transport"`
	// ConnectTimeout bounds the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportAuto, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = errors.New(`address: polyclam needs one, as in "unix:/run/polyclam/clamd.sock"`)
	}
	errs := []error{err}
	switch c.Transport {
	case transportAuto, transportStream:
	case transportFildes:
		if network == "tcp" {
			errs = append(errs, errors.New(`transport "fildes": a descriptor cannot be handed over TCP; use "stream", or a Unix socket`))
		}
	default:
		errs = append(errs, fmt.Errorf("transport %q: want %q, %q or %q", c.Transport, transportAuto, transportFildes, transportStream))
	}
	if c.ConnectTimeout <= 0 {
		errs = append(errs, fmt.Errorf(`connect_timeout %q: want more than nothing, as in "5s"`, c.ConnectTimeout))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b := &Backend{
		node:      clamdclient.New("polyclam", address, engineconn.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout}),
		transport: c.Transport,
		auto:      c.Transport == transportAuto,
	}
	if b.auto && network == "tcp" {
		b.transport = transportStream
	}
	return b, nil
}

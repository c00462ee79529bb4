package sophie

import (
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// The values of the key transport.
const (
	transportAuto   = "auto"
	transportPath   = "path"
	transportStream = "stream"
)

// Config holds the keys of an [[upstream]] table with backend = "sophie".
type Config struct {
	// Transport is how the daemon gets the content: "path" names a file that its
	// user must be able to read, with every directory above; "stream" sends the
	// bytes, which only savdid takes. "auto" is path on a Unix socket and stream on
	// TCP.
	Transport string `toml:"transport"`
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportAuto, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	var errs []error
	network, addr, err := "", "", error(nil)
	if address == "" {
		errs = append(errs, errors.New(`address: sophie needs one, as in "unix:/var/run/sophie"`))
	} else if network, addr, err = backends.ParseAddress(address); err != nil {
		errs = append(errs, err)
	}
	switch c.Transport {
	case transportAuto, transportPath, transportStream:
	default:
		errs = append(errs, fmt.Errorf("transport %q: want %q, %q or %q", c.Transport, transportAuto, transportPath, transportStream))
	}
	if c.ConnectTimeout <= 0 {
		errs = append(errs, fmt.Errorf(`connect_timeout %q: want more than nothing, as in "5s"`, c.ConnectTimeout))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Backend{
		address: address,
		dialer:  wire.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout},
		stream:  c.Transport == transportStream || c.Transport == transportAuto && network == "tcp",
	}, nil
}

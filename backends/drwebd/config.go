package drwebd

import (
	"errors"
	"fmt"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// The values of the key transport.
const (
	transportStream = "stream"
	transportPath   = "path"
)

// Config holds the keys of a drwebd upstream.
type Config struct {
	// Transport is how drwebd gets the content: "stream" sends the bytes, "path" names
	// a file that it must be able to read.
	Transport string `toml:"transport"`
	// Heuristics lets it look for unknown viruses.
	Heuristics bool `toml:"heuristics"`
	// Mail says that every content is a mail, which it then takes apart. Contents that
	// are none may be misread.
	Mail bool `toml:"mail"`
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportStream, Heuristics: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	network, addr, err := backends.ParseAddress(address)
	if address == "" {
		err = errors.New(`address: drwebd needs one, as in "tcp:127.0.0.1:3000"`)
	}
	errs := []error{err}
	if c.Transport != transportStream && c.Transport != transportPath {
		errs = append(errs, fmt.Errorf("transport %q: want %q or %q", c.Transport, transportStream, transportPath))
	}
	if c.ConnectTimeout <= 0 {
		errs = append(errs, fmt.Errorf(`connect_timeout %q: want more than nothing, as in "5s"`, c.ConnectTimeout))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	b := &Backend{
		address: address,
		dialer:  wire.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout},
		path:    c.Transport == transportPath,
		flags:   flagNames,
	}
	if c.Heuristics {
		b.flags |= flagHeuristics
	}
	if c.Mail {
		b.flags |= flagMail
	}
	return b, nil
}

package drwebd

import (
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// The values of the key transport.
const (
	transportStream = "stream"
	transportPath   = "path"
)

// Config holds the keys of a drwebd engine.
type Config struct {
	// Transport is how drwebd gets the object: "stream" sends the bytes, "path" names
	// a file that it must be able to read.
	Transport string `toml:"transport"`
	// Heuristics makes drwebd look for unknown viruses.
	Heuristics bool `toml:"heuristics"`
	// Mail makes drwebd unpack every object as mail. It may misread other objects.
	Mail bool `toml:"mail"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportStream, Heuristics: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("drwebd", "tcp:127.0.0.1:3000", address, c.ConnectTimeout)
	if err := errors.Join(err, backends.OneOf("transport", c.Transport, transportStream, transportPath)); err != nil {
		return nil, err
	}
	client.Open()
	b := &Backend{client: client, path: c.Transport == transportPath, flags: flagNames}
	if c.Heuristics {
		b.flags |= flagHeuristics
	}
	if c.Mail {
		b.flags |= flagMail
	}
	return b, nil
}

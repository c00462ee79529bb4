package avast

import (
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// Config holds the keys of an avast engine.
type Config struct {
	// Sessions keeps connections open between scans.
	Sessions bool `toml:"sessions"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	texts.Keys
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Sessions: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("avast", "unix:/var/run/avast/scan.sock", address, c.ConnectTimeout)
	if err := errors.Join(err, c.Keys.Check()); err != nil {
		return nil, err
	}
	client.Hello, client.Bye, client.Keep = greeting, "QUIT\r\n", c.Sessions
	client.Open()
	return &Backend{client: client, texts: c.Keys}, nil
}

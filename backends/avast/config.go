package avast

import (
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// Config holds the keys of an avast upstream.
type Config struct {
	// Sessions keeps connections open between scans.
	Sessions bool `toml:"sessions"`
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Sessions: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := line.New("avast", "unix:/var/run/avast/scan.sock", address, c.ConnectTimeout)
	if err != nil {
		return nil, err
	}
	client.Hello, client.Bye = greeting, "QUIT\r\n"
	client.Keep(c.Sessions)
	return &Backend{client: client}, nil
}

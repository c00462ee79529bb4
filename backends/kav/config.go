package kav

import (
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// The values of the key protocol.
const (
	protocolKavdaemon = "kavdaemon"
	protocolAveserver = "aveserver"
)

// Config holds the keys of a kav engine.
type Config struct {
	// Protocol is the kind of daemon: "kavdaemon" or "aveserver".
	Protocol string `toml:"protocol"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Protocol: protocolAveserver, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	example := "unix:/var/run/aveserver"
	if c.Protocol == protocolKavdaemon {
		example = "unix:/var/run/AvpCtl"
	}
	client, err := engineconn.New("kav", example, address, c.ConnectTimeout)
	if err := errors.Join(err, backends.OneOf("protocol", c.Protocol, protocolAveserver, protocolKavdaemon)); err != nil {
		return nil, err
	}
	if c.Protocol == protocolKavdaemon {
		client.Open()
		return &Backend{client: client, ask: askDaemon}, nil
	}
	client.Hello = greetAve
	client.Open()
	return &Backend{client: client, ask: askAve}, nil
}

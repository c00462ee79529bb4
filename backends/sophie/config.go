package sophie

import (
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// The values of the key transport.
const (
	transportAuto   = "auto"
	transportPath   = "path"
	transportStream = "stream"
)

// Config holds the keys of an [[engine]] table with backend = "sophie".
type Config struct {
	// Transport is how the daemon gets the object: "path" names a file that its user
	// must be able to read, with every directory above; "stream" sends the bytes, which
	// only savdid accepts. "auto" is path on a Unix socket and stream on TCP.
	Transport string `toml:"transport"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	texts.Keys
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Transport: transportAuto, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("sophie", "unix:/var/run/sophie", address, c.ConnectTimeout)
	if err := errors.Join(err, backends.OneOf("transport", c.Transport, transportAuto, transportPath, transportStream), c.Keys.Check()); err != nil {
		return nil, err
	}
	client.Open()
	return &Backend{
		client: client,
		stream: c.Transport == transportStream || c.Transport == transportAuto && client.Dialer.Network == "tcp",
		texts:  c.Keys,
	}, nil
}

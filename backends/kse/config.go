package kse

import (
	"context"
	"errors"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/wire"
)

// The values of the key transport.
const (
	transportMemory = "memory"
	transportFile   = "file"
)

// maxBody limits an answer. Protocol 3 reports every part of an archive that is not clean.
const maxBody = 1 << 20

// withoutDeadline is the time limit sent with a scan that has no deadline.
const withoutDeadline = time.Minute

// Config holds the keys of a kse engine.
type Config struct {
	wire.Options
	// Protocol is the KAV protocol, 1 or 3. Protocol 3 sends a third more bytes, and
	// reports the parts of an archive.
	Protocol int `toml:"protocol"`
	// API is the version of protocol 3: "v3.0" or "v3.1".
	API string `toml:"api"`
	// Transport is how the engine gets the object: "memory" sends the bytes, "file"
	// names a file that it must be able to read.
	Transport string `toml:"transport"`
	// ScanTimeout is the time limit sent to the engine; zero means the rest of the key
	// timeout.
	ScanTimeout time.Duration `toml:"scan_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Options: wire.DefaultOptions(), Protocol: 1, API: "v3.0", Transport: transportMemory}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) { return c.OpenAt(address, "") }

// OpenAt implements [backends.HostConfig].
func (c *Config) OpenAt(address, host string) (backends.Backend, error) {
	errs := []error{
		backends.OneOf("api", c.API, "v3.0", "v3.1"),
		backends.OneOf("transport", c.Transport, transportMemory, transportFile),
	}
	if c.Protocol != 1 && c.Protocol != 3 {
		errs = append(errs, backends.KeyErrorf("protocol", "must be 1 or 3, not %d", c.Protocol))
	}
	// X-KAV-Timeout is an unsigned 32-bit number.
	if c.ScanTimeout < 0 || c.ScanTimeout > 24*time.Hour || c.ScanTimeout > 0 && c.ScanTimeout < time.Millisecond {
		errs = append(errs, backends.KeyErrorf("scan_timeout", `must be between "1ms" and "24h", or "0s" for the rest of timeout; not %q`, c.ScanTimeout))
	}
	options := c.Options
	options.KeepAlive = c.KeepAlive && c.Protocol == 3
	client, err := options.Client("kse", "tcp:127.0.0.1:9999", address, host, maxBody)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	return &Backend{address: address, config: *c, client: client, protocol: c.Protocol}, nil
}

// prefix returns the prefix of the engine's methods.
func (c *Config) prefix() string {
	if c.Protocol == 1 {
		return ""
	}
	return "/api/" + c.API
}

// timeout returns the time limit sent to the engine.
func (c *Config) timeout(ctx context.Context) time.Duration {
	if c.ScanTimeout > 0 {
		return c.ScanTimeout
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return withoutDeadline
	}
	return min(max(time.Until(deadline), time.Millisecond), 24*time.Hour)
}

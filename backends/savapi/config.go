package savapi

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/line"
)

// Config holds the keys of a savapi upstream.
type Config struct {
	// Product is the id that the licence is for.
	Product string `toml:"product"`
	// Settings are what is set on each connection, "KEY VALUE".
	Settings []string `toml:"settings"`
	// ConnectTimeout bounds the making of a connection.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Settings: []string{"ARCHIVE_SCAN 1"}, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := line.New("savapi", "tcp:127.0.0.1:4444", address, c.ConnectTimeout)
	errs := []error{err}
	if !line.IsWord(c.Product) {
		errs = append(errs, fmt.Errorf(`product = %q: want the number that comes with the licence, as in "10776"`, c.Product))
	}
	b := &Backend{client: client, settings: []setting{{"PRODUCT", c.Product}}}
	for _, s := range c.Settings {
		key, value, ok := strings.Cut(s, " ")
		if !ok || !line.IsWord(key) || !line.IsWord(value) {
			errs = append(errs, fmt.Errorf(`settings: %q is not one, as in "ARCHIVE_SCAN 1"`, s))
		}
		b.settings = append(b.settings, setting{key, value})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	client.Hello, client.Bye = b.hello, "QUIT\n"
	return b, nil
}

package savapi

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// Config holds the keys of a savapi engine.
type Config struct {
	// Product is the licence's product id.
	Product string `toml:"product"`
	// Settings are sent on each new connection, "KEY VALUE".
	Settings []string `toml:"settings"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	texts.Keys
	// Harmless lists texts of information that is irrelevant to the verdict.
	Harmless []string `toml:"harmless_texts"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Settings: []string{"ARCHIVE_SCAN 1"}, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("savapi", "tcp:127.0.0.1:4444", address, c.ConnectTimeout)
	errs := []error{err, c.Keys.Check(), c.checkHarmless()}
	if !ascii.IsWord(c.Product) {
		errs = append(errs, backends.KeyErrorf("product", `%q is not a product id; write the number that comes with the licence, for example "10776"`, c.Product))
	}
	b := &Backend{client: client, texts: c.Keys, harmless: slices.Clone(c.Harmless), settings: []setting{{"PRODUCT", c.Product}}}
	for _, s := range c.Settings {
		key, value, ok := strings.Cut(s, " ")
		if !ok || !ascii.IsWord(key) || !ascii.IsWord(value) {
			errs = append(errs, backends.KeyErrorf("settings", `%q is not a setting; write one such as "ARCHIVE_SCAN 1"`, s))
		}
		b.settings = append(b.settings, setting{key, value})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	client.Hello, client.Bye = b.hello, "QUIT\n"
	client.Open()
	return b, nil
}

func (c *Config) checkHarmless() error {
	for _, text := range c.Harmless {
		switch {
		case strings.TrimSpace(text) == "" || strings.ContainsFunc(text, unicode.IsControl):
			return backends.KeyErrorf("harmless_texts", "%.100q: write a whole text as the engine sends it, in one line", text)
		case c.Keys.Category(text) != "":
			return backends.KeyErrorf("harmless_texts", "%.100q is in encrypted_texts or partial_texts too", text)
		}
	}
	return nil
}

package fsecure

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ascii"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/texts"
)

// Config holds the keys of an fsecure engine.
type Config struct {
	// Protocol is the protocol version. 0, for old daemons, sends none.
	Protocol int `toml:"protocol"`
	// Settings are sent on each new connection, "NAME VALUE".
	Settings []string `toml:"settings"`
	// Sessions keeps connections open between scans.
	Sessions bool `toml:"sessions"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	texts.Keys
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{
		Protocol: 9,
		Settings: []string{"STOPONFIRST 0", "ARCHIVE 1", "MAXARCH 5", "MIME 1", "RISKWARE 1", "FILTER 0", "TIMEOUT 60"},
		Sessions: true, ConnectTimeout: 5 * time.Second,
	}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("fsecure", "unix:/tmp/.fsav-0", address, c.ConnectTimeout)
	errs := []error{err, c.Keys.Check()}
	b := &Backend{client: client, texts: c.Keys}
	switch {
	case c.Protocol < 0 || c.Protocol > 999:
		errs = append(errs, backends.KeyErrorf("protocol", "must be between 1 and 999, for example 9, or 0 to send none; not %d", c.Protocol))
	case c.Protocol > 0:
		b.settings = append(b.settings, "PROTOCOL\t"+strconv.Itoa(c.Protocol))
	}
	for _, s := range c.Settings {
		name, value, ok := strings.Cut(s, " ")
		if !ok || !ascii.IsWord(name) || !ascii.IsWord(value) {
			errs = append(errs, backends.KeyErrorf("settings", `%q is not a setting; write one such as "MAXARCH 5"`, s))
		}
		b.settings = append(b.settings, "CONFIGURE\t"+name+"\t"+value)
	}
	if len(b.settings) == 0 {
		errs = append(errs, backends.KeyErrorf("settings", `protocol = 0 needs at least one setting, for example "ARCHIVE 1"`))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	client.Hello = func(conn *engineconn.Conn) error {
		_, err := b.configure(conn)
		return err
	}
	client.Keep = c.Sessions
	client.Open()
	return b, nil
}

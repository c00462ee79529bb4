package sssp

import (
	"errors"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// The values of the key transport.
const (
	transportData = "data"
	transportFile = "file"
)

// Config holds the keys of an [[engine]] table with backend = "sssp".
type Config struct {
	// Transport is how savdid gets the object: "data" sends the bytes (SCANDATA,
	// "allowscandata: YES" in savdid.conf), "file" names a file that savdid's user
	// must be able to read (SCANFILE, "allowscanfile: FILE").
	Transport string `toml:"transport"`
	// Options are the lines of the OPTIONS request that begins every connection; an
	// empty list sends none. Without GrpArchiveUnpack savdid does not unpack archives,
	// and reports an encrypted one as clean.
	Options []string `toml:"options"`
	// Sessions keeps connections open between scans. Each occupies one of savdid's
	// threads.
	Sessions bool `toml:"sessions"`
	// IdleLimit is how long an idle connection is kept. It must be below requesttimeout
	// in savdid.conf.
	IdleLimit time.Duration `toml:"idle_limit"`
	// ConnectTimeout limits the time to connect, and separately the wait for savdid's
	// greeting.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{
		Transport:      transportData,
		Options:        []string{"savigrp: GrpArchiveUnpack 1"},
		Sessions:       true,
		IdleLimit:      25 * time.Second,
		ConnectTimeout: 5 * time.Second,
	}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	client, err := engineconn.New("sssp", "unix:/var/run/savdi/sssp.sock", address, c.ConnectTimeout)
	if err := errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	b := &Backend{client: client, file: c.Transport == transportFile, options: append([]string(nil), c.Options...), fence: requestBye}
	if c.Sessions {
		b.fence = requestServer
	}
	client.Hello, client.Bye = b.hello, requestBye+"\r\n"
	client.Keep, client.IdleLimit = c.Sessions, c.IdleLimit
	client.Open()
	return b, nil
}

func (c *Config) check() error {
	errs := []error{backends.OneOf("transport", c.Transport, transportData, transportFile)}
	for _, line := range c.Options {
		if err := checkOption(line); err != nil {
			errs = append(errs, err)
		}
	}
	if c.IdleLimit <= 0 {
		errs = append(errs, backends.KeyErrorf("idle_limit", `must be positive, for example "25s"; sessions = false keeps no connection`))
	}
	return errors.Join(errs...)
}

// checkOption checks that an option is one valid line. XML answers are not supported.
func checkOption(line string) error {
	name, value, ok := strings.Cut(line, ": ")
	for _, r := range line {
		ok = ok && r >= ' ' && r <= '~'
	}
	if !ok || name == "" || strings.TrimSpace(value) != value || value == "" || strings.Contains(name, " ") || len(line) > 200 {
		return backends.KeyErrorf("options", `%q is not an option; write "name: value", for example "savigrp: GrpArchiveUnpack 1"`, line)
	}
	if name == "output" && value != "brief" {
		return backends.KeyErrorf("options", "%q: polyclam understands only \"output: brief\"", line)
	}
	return nil
}

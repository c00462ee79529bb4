package fprot

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// The values of the keys protocol and transport.
const (
	protocolFpscand = "fpscand"
	protocolFprotd  = "f-protd"

	transportPath   = "path"
	transportStream = "stream"
)

// Config holds the keys of an fprot engine.
type Config struct {
	// Protocol is "fpscand" for version 6, "f-protd" for the older daemon.
	Protocol string `toml:"protocol"`
	// Transport is how fpscand gets the object: "path" names a file that it must be
	// able to read, "stream" sends the bytes. f-protd supports only a path.
	Transport string `toml:"transport"`
	// Options are options of the command-line scanner for each scan; nil means the
	// protocol's usual ones.
	Options []string `toml:"options"`
	// Ports is how many ports to try for f-protd, starting at the address's port,
	// because f-protd uses the first free one.
	Ports int `toml:"ports"`
	// Sessions keeps connections to fpscand open between scans.
	Sessions bool `toml:"sessions"`
	// ConnectTimeout limits the time to connect.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
}

// The options that MIMEDefang uses.
var defaultOptions = map[string][]string{
	protocolFpscand: {"--scanlevel=2", "--archive=2", "--heurlevel=2", "--adware", "--applications"},
	protocolFprotd:  {"-dumb", "-archive", "-packed", "-remote-dtd"},
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{Protocol: protocolFpscand, Transport: transportPath, Ports: 5, Sessions: true, ConnectTimeout: 5 * time.Second}
}

// Open implements [backends.Config]. The backend is a *[Backend], or an
// *[OldBackend] for protocol "f-protd".
func (c *Config) Open(address string) (backends.Backend, error) {
	options := c.Options
	if options == nil {
		options = defaultOptions[c.Protocol]
	}
	client, err := c.client(address)
	if err := errors.Join(err, c.check()); err != nil {
		return nil, err
	}
	if c.Protocol == protocolFpscand {
		client.Bye, client.Keep = "QUIT\n", c.Sessions
		client.Open()
		return &Backend{client: client, request: strings.Join(append([]string{"SCAN"}, options...), " "), stream: c.Transport == transportStream}, nil
	}
	b := &OldBackend{query: url.PathEscape(strings.Join(options, " "))}
	for _, a := range addresses(address, c.Ports) {
		client, err := c.client(a)
		if err != nil {
			return nil, err
		}
		client.Open()
		b.clients = append(b.clients, client)
	}
	return b, nil
}

func (c *Config) client(address string) (*engineconn.Client, error) {
	return engineconn.New("fprot", "tcp:127.0.0.1:10200", address, c.ConnectTimeout)
}

func (c *Config) check() error {
	errs := []error{
		backends.OneOf("protocol", c.Protocol, protocolFpscand, protocolFprotd),
		backends.OneOf("transport", c.Transport, transportPath, transportStream),
	}
	if c.Protocol == protocolFprotd && c.Transport == transportStream {
		errs = append(errs, backends.KeyErrorf("transport", `f-protd takes only paths; write "path"`))
	}
	if c.Ports < 1 || c.Ports > 20 {
		errs = append(errs, backends.KeyErrorf("ports", "must be between 1 and 20, not %d", c.Ports))
	}
	for _, o := range c.Options {
		if !strings.HasPrefix(o, "-") || len(o) > 64 || strings.ContainsFunc(o, isUnsafe) {
			errs = append(errs, backends.KeyErrorf("options", `%q is not an option; write one such as "--archive=2"`, o))
		}
	}
	return errors.Join(errs...)
}

func isUnsafe(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_=.,+", r)
}

// addresses returns the addresses to try: consecutive ports, starting at the address's
// own.
func addresses(address string, ports int) []string {
	all := []string{address}
	network, addr, err := backends.ParseAddress(address)
	if err != nil || network != "tcp" {
		return all
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return all
	}
	first, err := strconv.Atoi(port)
	if err != nil {
		return all // a service name
	}
	for p := first + 1; p < first+ports && p <= 65535; p++ {
		all = append(all, network+":"+net.JoinHostPort(host, strconv.Itoa(p)))
	}
	return all
}

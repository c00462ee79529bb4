package wire

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
)

// Options are the keys that all HTTP engines share.
type Options struct {
	// Headers are additional fields in every request, e.g. for authentication.
	Headers map[string]string `toml:"headers"`
	// KeepAlive keeps connections open between scans. HTTP answers have no id, so only
	// a new connection for each scan ensures that a late or repeated answer never
	// counts for another request.
	KeepAlive bool `toml:"keepalive"`
	// ConnectTimeout limits the time to connect, including TLS.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS holds the keys for HTTPS.
	engineconn.TLS
}

// DefaultOptions returns the defaults.
func DefaultOptions() Options {
	return Options{ConnectTimeout: 5 * time.Second}
}

// UsesHost implements [backends.HostConfig]: requests name the host.
func (o *Options) UsesHost() bool { return true }

// Client returns a client for the engine at address ("unix:/path", "tcp:host:port"), or
// everything that is wrong with the keys; the error may quote example, a correct address.
// host is the name of a node that was found by name, with the port; else it is empty.
func (o *Options) Client(engine, example, address, host string, maxBody int64) (*Client, error) {
	network, addr, err := hostAddress(engine, example, address)
	errs := []error{err}
	host = cmp.Or(host, addr)
	if o.ConnectTimeout <= 0 {
		errs = append(errs, backends.KeyErrorf("connect_timeout", `must be positive, for example "5s"`))
	}
	c := &Client{Host: host, MaxBody: maxBody}
	if network == "unix" {
		c.Host = "localhost"
	}
	names := make([]string, 0, len(o.Headers))
	for name := range o.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		value := o.Headers[name]
		errs = append(errs, checkField(name, value))
		if strings.EqualFold(name, "Host") {
			c.Host = value
			continue
		}
		c.Fields = append(c.Fields, Field{name, value})
	}
	conf, err := o.TLS.Config(network, host)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	c.conns = engineconn.Client{
		Engine: engine, Address: address,
		Dialer: engineconn.Dialer{Network: network, Address: addr, Timeout: o.ConnectTimeout, TLS: conf},
		Keep:   o.KeepAlive, IdleLimit: idleLimit, MaxIdle: maxIdle, Cooldown: cooldown,
	}
	c.conns.Open()
	return c, nil
}

// The syntax of what goes into a request's head. The configuration is trusted, but a
// space or a line break in it would change the request.
var (
	hostPort = regexp.MustCompile(`^[A-Za-z0-9._:%\[\]-]+$`)
	target   = regexp.MustCompile(`^/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$`)
	token    = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	printed  = regexp.MustCompile(`^[ -~]*$`)
)

// CheckTarget returns an error if path cannot be the target of a request.
func CheckTarget(key, path string) error {
	if target.MatchString(path) {
		return nil
	}
	return backends.KeyErrorf(key, `%q is not the path of a URL; write one such as "/v2/scan"`, path)
}

func hostAddress(engine, example, address string) (network, addr string, err error) {
	if address == "" {
		return "", "", backends.KeyErrorf("address", "%s needs one, for example %q", engine, example)
	}
	network, addr, err = backends.ParseAddress(address)
	if err == nil && network == "tcp" && !hostPort.MatchString(addr) {
		err = fmt.Errorf("%q has no valid host name", address)
	}
	if err != nil {
		err = &backends.KeyError{Key: "address", Err: err}
	}
	return network, addr, err
}

// framing are the fields that only this package sets.
var framing = []string{"Connection", "Content-Length", "Expect", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Accept-Encoding"}

func checkField(name, value string) error {
	switch {
	case !token.MatchString(name):
		return backends.KeyErrorf("headers", "%q is not the name of a header field", name)
	case !printed.MatchString(value):
		return backends.KeyErrorf("headers", "%s: %q has characters other than printable ASCII", name, value)
	case slices.ContainsFunc(framing, func(f string) bool { return strings.EqualFold(f, name) }):
		return backends.KeyErrorf("headers", "polyclam sets %s itself; delete it", name)
	}
	return nil
}

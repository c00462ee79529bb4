package icap

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"time"

	"polyclam/backends"
)

// The values of the key method.
const (
	methodAuto    = "auto"
	methodRespmod = "respmod"
	methodReqmod  = "reqmod"
)

// The values of the key echo_is.
const (
	echoPartial = "partial"
	echoOK      = "ok"
)

// Config holds the keys of an ICAP upstream.
type Config struct {
	// Service is the path of the scanning service on the server, with its query if
	// it has one: "avscan" (c-icap, Symantec, Trend), "squidclamav", "scan" (ESET),
	// "respmod" (Sophos, F-Secure, Skyhigh), "av/respmod" (Kaspersky), ...
	Service string `toml:"service"`
	// Method is "respmod", "reqmod", or "auto": what the server's OPTIONS offers,
	// RESPMOD first.
	Method string `toml:"method"`
	// Preview sends the beginning of a content first, if the server wants that. It
	// saves traffic where the server does not look at all types of files; those are
	// Partial then.
	Preview bool `toml:"preview"`
	// HTTPHeaders wraps the content in the HTTP message that RFC 3507 wants. Some
	// versions of ESET want the bare content.
	HTTPHeaders bool `toml:"http_headers"`
	// ContentType is the type in this HTTP message.
	ContentType string `toml:"content_type"`
	// Headers are further fields of every ICAP request, e.g. for authentication.
	Headers map[string]string `toml:"headers"`
	// EchoIs is what an answer amounts to that sends the content back unchanged
	// instead of saying 204: "partial", since this is how servers pass what they did
	// not scan, or "ok" for a server that never says 204.
	EchoIs string `toml:"echo_is"`
	// RedirectIsThreat takes an HTTP redirect to a page for a virus, as squidclamav
	// means it; else it is an answer that is not understood.
	RedirectIsThreat bool `toml:"redirect_is_threat"`
	// KeepAlive keeps connections open between scans.
	KeepAlive bool `toml:"keepalive"`
	// ConnectTimeout bounds the making of a connection, TLS included.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS is for ICAPS: TLS from the first byte. The server's certificate must be
	// from an authority in the PEM file CA (empty: the system's) and for ServerName
	// (empty: the host of the address), unless InsecureSkipVerify.
	TLS                bool   `toml:"tls"`
	CA                 string `toml:"ca"`
	ServerName         string `toml:"server_name"`
	InsecureSkipVerify bool   `toml:"insecure_skip_verify"`
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{
		Service: "avscan", Method: methodAuto, HTTPHeaders: true, ContentType: "application/octet-stream",
		EchoIs: echoPartial, RedirectIsThreat: true, KeepAlive: true, ConnectTimeout: 5 * time.Second,
	}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) {
	network, addr, err := c.address(address)
	errs := append([]error{err}, c.check()...)
	tlsConfig, err := c.tls(addr, network)
	if err := errors.Join(append(errs, err)...); err != nil {
		return nil, err
	}
	host := addr
	if network == "unix" {
		host = "localhost"
	}
	service := strings.TrimPrefix(c.Service, "/")
	return &Backend{
		address: address,
		host:    host,
		uri:     "icap://" + host + "/" + service,
		fields:  c.fields(),
		config:  *c,
		dialer:  dialer{network: network, address: addr, timeout: c.ConnectTimeout, tls: tlsConfig},
		pool:    newPool(c.KeepAlive),
		buffers: sync.Pool{New: func() any { return new([bufferSize]byte) }},
		now:     time.Now,
	}, nil
}

// hostPort is what may stand in a request line: the configuration is trusted, but a
// blank or a line end in it would make another request of ours.
var hostPort = regexp.MustCompile(`^[A-Za-z0-9._:%\[\]-]+$`)

func (c *Config) address(address string) (network, addr string, err error) {
	if address == "" {
		return "", "", errors.New(`address: icap needs one, as in "tcp:127.0.0.1:1344"`)
	}
	network, addr, err = backends.ParseAddress(address)
	if err == nil && network == "tcp" && !hostPort.MatchString(addr) {
		err = fmt.Errorf("address %q: not the name of a host", address)
	}
	return network, addr, err
}

var (
	// servicePath is RFC 3986's path and query, without what would end the line.
	servicePath = regexp.MustCompile(`^/?[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$`)
	token       = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	fieldValue  = regexp.MustCompile(`^[\x20-\x7e]*$`)
)

// ownFields are the fields that a request has already, or that would change how it
// is read.
var ownFields = []string{
	"Host", "User-Agent", "Allow", "Preview", "Encapsulated", "Connection", "Keep-Alive", "Transfer-Encoding",
	"Content-Length", "TE", "Trailer", "Upgrade", "Expect",
}

func (c *Config) check() []error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !servicePath.MatchString(c.Service) || len(c.Service) > 1024 {
		bad(`service %q: want the path of a service on the server, as in "avscan"`, c.Service)
	}
	switch c.Method {
	case methodAuto, methodRespmod, methodReqmod:
	default:
		bad("method %q: want %q, %q or %q", c.Method, methodAuto, methodRespmod, methodReqmod)
	}
	if c.EchoIs != echoPartial && c.EchoIs != echoOK {
		bad("echo_is %q: want %q or %q", c.EchoIs, echoPartial, echoOK)
	}
	if c.ContentType == "" || len(c.ContentType) > 1024 || !fieldValue.MatchString(c.ContentType) {
		bad(`content_type %q: want a type, as in "application/octet-stream"`, c.ContentType)
	}
	if c.ConnectTimeout <= 0 {
		bad(`connect_timeout %q: want more than nothing, as in "5s"`, c.ConnectTimeout)
	}
	return append(errs, c.checkHeaders()...)
}

func (c *Config) checkHeaders() []error {
	var errs []error
	for _, name := range sortedKeys(c.Headers) {
		switch {
		case !token.MatchString(name):
			errs = append(errs, fmt.Errorf("headers: %q is not the name of a header field", name))
		case containsFold(ownFields, name):
			errs = append(errs, fmt.Errorf("headers: %q is set by polyclam itself", name))
		case !fieldValue.MatchString(c.Headers[name]):
			errs = append(errs, fmt.Errorf("headers: the value of %q has other than printable ASCII characters", name))
		}
	}
	if len(c.fields()) > maxFields {
		errs = append(errs, fmt.Errorf("headers: more than %d bytes", maxFields))
	}
	return errs
}

// maxFields bounds the fields that every request has.
const maxFields = 8 << 10

// fields are the fields that every request has, as they are sent.
func (c *Config) fields() string {
	var b strings.Builder
	b.WriteString("User-Agent: polyclam\r\n")
	if !c.KeepAlive {
		b.WriteString("Connection: close\r\n")
	}
	for _, name := range sortedKeys(c.Headers) {
		b.WriteString(name + ": " + c.Headers[name] + "\r\n")
	}
	return b.String()
}

// serverName is the name that the certificate has to be for.
func (c *Config) serverName(network, addr string) string {
	if c.ServerName != "" || network != "tcp" {
		return c.ServerName
	}
	host, _, _ := net.SplitHostPort(addr)
	return host
}

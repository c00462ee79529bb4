package icap

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/engineconn"
	"polyclam/backends/internal/wire"
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

// Config holds the keys of an ICAP engine.
type Config struct {
	// Service is the path of the scanning service on the server, with its query if
	// there is one: "avscan" (c-icap, Symantec, Trend), "squidclamav", "scan" (ESET),
	// "respmod" (Sophos, F-Secure, Skyhigh), "av/respmod" (Kaspersky), ...
	Service string `toml:"service"`
	// Method is "respmod", "reqmod", or "auto": a method that the server's OPTIONS
	// offers, preferably RESPMOD.
	Method string `toml:"method"`
	// Preview sends the beginning of an object first if the server asks for that. It
	// saves traffic if the server skips some types of files; those are Partial.
	Preview bool `toml:"preview"`
	// HTTPHeaders wraps the object in an HTTP message, as RFC 3507 requires. Some ESET
	// versions expect the bare object.
	HTTPHeaders bool `toml:"http_headers"`
	// URL is the URL in this HTTP message. {name} is replaced by the percent-encoded
	// name of the file.
	URL string `toml:"url"`
	// FileName is used for an object without a name. FileNameHeader is an additional
	// field with the name: Content-Disposition in the HTTP message, as in RFC 6266, or
	// any other field in the ICAP header, percent-encoded.
	FileName       string `toml:"file_name"`
	FileNameHeader string `toml:"file_name_header"`
	// ContentType is the type in this HTTP message.
	ContentType string `toml:"content_type"`
	// Headers are additional fields in every ICAP request, e.g. for authentication.
	Headers map[string]string `toml:"headers"`
	// EchoIs is the category of an answer that returns the object unchanged instead of
	// 204: "partial", because servers pass unscanned objects in this way, or "ok" for a
	// server without 204. It has no effect if the server's OPTIONS announce 204.
	EchoIs string `toml:"echo_is"`
	// Statuses maps ICAP statuses to categories, HTTPStatuses maps the HTTP statuses of
	// pages that replace the object, and ErrorCodes maps the values of X-Error-Code and
	// the codes in Trend's pages.
	Statuses     map[string]string `toml:"statuses"`
	HTTPStatuses map[string]string `toml:"http_statuses"`
	ErrorCodes   map[string]string `toml:"error_codes"`
	// RedirectIsThreat treats an HTTP redirect to a page as a virus, as squidclamav
	// sends one. Otherwise a redirect is a failure.
	RedirectIsThreat bool `toml:"redirect_is_threat"`
	// KeepAlive keeps connections open between scans. ICAP answers have no id, so only
	// a new connection for each scan ensures that a late or repeated answer never
	// counts for another request.
	KeepAlive bool `toml:"keepalive"`
	// ConnectTimeout limits the time to connect, including TLS.
	ConnectTimeout time.Duration `toml:"connect_timeout"`
	// TLS holds the keys for ICAPS: TLS from the first byte.
	engineconn.TLS
}

// NewConfig returns the defaults.
func NewConfig() backends.Config {
	return &Config{
		Service: "avscan", Method: methodAuto, HTTPHeaders: true, ContentType: "application/octet-stream",
		URL: "http://localhost/" + namePlace, FileName: wire.NeutralName,
		EchoIs: echoPartial, RedirectIsThreat: true, ConnectTimeout: 5 * time.Second,
	}
}

// Open implements [backends.Config]. The backend is a *[Backend].
func (c *Config) Open(address string) (backends.Backend, error) { return c.OpenAt(address, "") }

// UsesHost implements [backends.HostConfig]: requests name the host.
func (c *Config) UsesHost() bool { return true }

// OpenAt implements [backends.HostConfig].
func (c *Config) OpenAt(address, host string) (backends.Backend, error) {
	network, addr, err := c.address(address)
	host = cmp.Or(host, addr)
	errs := append([]error{err}, c.check()...)
	tlsConfig, err := c.TLS.Config(network, host)
	b := &Backend{address: address, host: host, config: *c, fields: c.fields(), now: time.Now}
	errs = append(errs, err, b.tables())
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if network == "unix" {
		b.host = "localhost"
	}
	b.uri = "icap://" + b.host + "/" + strings.TrimPrefix(c.Service, "/")
	b.conns = engineconn.Client{
		Engine: "icap", Address: address,
		Dialer: engineconn.Dialer{Network: network, Address: addr, Timeout: c.ConnectTimeout, TLS: tlsConfig},
		Keep:   c.KeepAlive, MaxIdle: maxIdle, Cooldown: cooldown,
	}
	b.conns.Open()
	return b, nil
}

// maxIdle limits the kept connections, because c-icap uses a thread for each.
const maxIdle = 32

// cooldown is how long a kept connection rests before it is reused. ICAP answers have no
// id; one that is repeated within this time is detected.
const cooldown = 100 * time.Millisecond

// tables builds the answer tables.
func (b *Backend) tables() error {
	var errs [3]error
	b.statuses, errs[0] = withStatuses("statuses", statuses, b.config.Statuses, func(status int) bool { return status == 200 || status == 204 || status == 206 })
	b.pages, errs[1] = withStatuses("http_statuses", pages, b.config.HTTPStatuses, func(status int) bool { return status == 200 })
	b.errorCodes, errs[2] = withCodes("error_codes", b.config.ErrorCodes)
	return errors.Join(errs[:]...)
}

// hostPort matches an address that is safe in a request line. The configuration is
// trusted, but a space or a line break in it would change the request.
var hostPort = regexp.MustCompile(`^[A-Za-z0-9._:%\[\]-]+$`)

func (c *Config) address(address string) (network, addr string, err error) {
	if address == "" {
		return "", "", backends.KeyErrorf("address", `icap needs one, for example "tcp:127.0.0.1:1344"`)
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

var (
	// servicePath matches RFC 3986's path and query.
	servicePath = regexp.MustCompile(`^/?[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*$`)
	token       = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")
	fieldValue  = regexp.MustCompile(`^[\x20-\x7e]*$`)
)

// ownFields are fields that only this package may set.
var ownFields = []string{
	"Host", "User-Agent", "Allow", "Preview", "Encapsulated", "Connection", "Keep-Alive", "Transfer-Encoding",
	"Content-Length", "TE", "Trailer", "Upgrade", "Expect",
}

func (c *Config) check() []error {
	errs := []error{
		backends.OneOf("method", c.Method, methodAuto, methodRespmod, methodReqmod),
		backends.OneOf("echo_is", c.EchoIs, echoPartial, echoOK),
	}
	bad := func(key, format string, args ...any) { errs = append(errs, backends.KeyErrorf(key, format, args...)) }
	if !servicePath.MatchString(c.Service) || len(c.Service) > 1024 {
		bad("service", `%q is not the path of a service on the server; write one such as "avscan"`, c.Service)
	}
	if c.ContentType == "" || len(c.ContentType) > 1024 || !fieldValue.MatchString(c.ContentType) {
		bad("content_type", `%q is not a media type; write one such as "application/octet-stream"`, c.ContentType)
	}
	if c.ConnectTimeout <= 0 {
		bad("connect_timeout", `must be positive, for example "5s"`)
	}
	if !pageURL.MatchString(c.URL) || len(c.URL) > 1024 {
		bad("url", `%q is not a URL for this; write one such as "http://localhost/{name}"`, c.URL)
	}
	if strings.EqualFold(c.FileNameHeader, disposition) && !c.HTTPHeaders {
		bad("file_name_header", "%q needs http_headers = true", c.FileNameHeader)
	}
	if containsFold(ownFields, c.FileNameHeader) {
		bad("file_name_header", "polyclam sets %q itself; write another name", c.FileNameHeader)
	}
	errs = append(errs, wire.CheckFileName("file_name", c.FileName), wire.CheckNameField("file_name_header", c.FileNameHeader))
	return append(errs, c.checkHeaders()...)
}

// namePlace is the placeholder for the file name in the key url.
const namePlace = "{name}"

// pageURL matches an absolute URL that may contain {name}.
var pageURL = regexp.MustCompile(`^https?://([A-Za-z0-9._:\[\]-]+)/(?:[A-Za-z0-9._~!$&'()*+,;=:@%/?-]|\{name\})*$`)

// urlHost returns the host of the key url.
func (c *Config) urlHost() string { return pageURL.FindStringSubmatch(c.URL)[1] }

// disposition is the field that belongs in the HTTP message.
const disposition = "Content-Disposition"

// namesInHTTP reports whether the file name goes into the HTTP message.
func (c *Config) namesInHTTP() bool { return strings.EqualFold(c.FileNameHeader, disposition) }

func (c *Config) checkHeaders() []error {
	var errs []error
	for _, name := range sortedKeys(c.Headers) {
		switch {
		case !token.MatchString(name):
			errs = append(errs, backends.KeyErrorf("headers", "%q is not the name of a header field", name))
		case containsFold(ownFields, name):
			errs = append(errs, backends.KeyErrorf("headers", "polyclam sets %q itself; delete it", name))
		case !fieldValue.MatchString(c.Headers[name]):
			errs = append(errs, backends.KeyErrorf("headers", "the value of %q has characters other than printable ASCII", name))
		}
	}
	if len(c.fields()) > maxFields {
		errs = append(errs, backends.KeyErrorf("headers", "the fields have more than %d bytes together", maxFields))
	}
	return errs
}

// maxFields limits the total length of these fields.
const maxFields = 8 << 10

// fields returns the fields that every request has.
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

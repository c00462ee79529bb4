package engineconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"polyclam/backends"
	"polyclam/backends/access"
	"polyclam/backends/internal/ended"
)

// dialError explains why there is no connection.
func (d Dialer) dialError(ctx, within context.Context, err error) error {
	var netErr net.Error
	switch {
	case hasEnded(ctx):
		return d.contextError(ctx)
	case errors.Is(err, syscall.EAGAIN):
		return d.timeoutError("the engine accepts no connection: its backlog was full for")
	case within.Err() != nil, errors.As(err, &netErr) && netErr.Timeout():
		return d.timeoutError("no connection within")
	}
	c := backends.CategoryOf(err)
	if !backends.Unreachable(err) {
		c = backends.CannotExecute
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		err = op.Err // without the address, which the client adds
	}
	return &backends.ConnError{Category: c, Text: "cannot connect", Err: &ended.Error{Text: d.reason(err), Causes: []error{err}}}
}

// reason says what is wrong and what may help.
func (d Dialer) reason(err error) string {
	var dns *net.DNSError
	var errno syscall.Errno
	switch {
	case errors.As(err, &dns):
		return dnsReason(dns)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "polyclam has no free file descriptors (LimitNOFILE= of its unit)"
	case d.Network == "unix":
		return d.socketReason(err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused: nothing listens on this port. Is the engine running, and the key address right?"
	case errors.As(err, &errno):
		return errno.Error() + " (key address)"
	}
	return err.Error()
}

func (d Dialer) socketReason(err error) string {
	var errno syscall.Errno
	switch {
	case errors.Is(err, syscall.ENOENT):
		if dir := access.Missing(d.Address); dir != "" {
			return fmt.Sprintf("the directory %s does not exist. Is the engine installed and running, and the key address right?", dir)
		}
		return "the socket does not exist. Is the engine running, and the key address right?"
	case errors.Is(err, syscall.EACCES):
		return access.Explain(d.Address, access.Connect)
	case errors.Is(err, syscall.ECONNREFUSED):
		if info, err := os.Stat(d.Address); err == nil && info.Mode().Type() != fs.ModeSocket {
			return "this file is not a socket (key address)"
		}
		return "connection refused: the socket exists, but nothing listens on it. Is the engine running?"
	case errors.Is(err, syscall.EPROTOTYPE):
		return "this is not a stream socket (key address)"
	case errors.As(err, &errno):
		return errno.Error() + " (key address)"
	}
	return err.Error()
}

func dnsReason(err *net.DNSError) string {
	switch {
	case err.IsNotFound:
		return fmt.Sprintf("the host name %.100q is unknown (key address)", err.Name)
	case err.IsTimeout:
		return fmt.Sprintf("no name server answered for the host name %.100q", err.Name)
	}
	return fmt.Sprintf("the name servers cannot resolve the host name %.100q", err.Name)
}

// tlsReason says why there is no TLS connection.
func tlsReason(err error) error {
	var header tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	text := ""
	switch {
	case errors.As(err, &header), IsHangup(err):
		text = "the engine does not speak TLS on this port, or refuses this client (keys tls, certificate)"
	case errors.As(err, &authority):
		text = "an unknown authority signed the engine's certificate (key ca)"
	case errors.As(err, &name):
		text = "the engine's certificate is for another name (key server_name)"
	default:
		return ended.Connection(err)
	}
	return &ended.Error{Text: text, Causes: []error{err}}
}

func (d Dialer) timeoutError(what string) error {
	return &backends.ConnError{Text: what + " " + d.Timeout.String() + " (key connect_timeout)"}
}

// contextError returns the error of a dial that ctx ended. An engine that does not accept
// a connection within a whole scan's time limit is unreachable.
func (d Dialer) contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &backends.ConnError{Text: "no connection", Err: ended.Context(ctx)}
	}
	return ended.Context(ctx)
}

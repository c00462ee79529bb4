package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"polyclam/proxy/balancer"
	"polyclam/proxy/certs"
	"polyclam/proxy/printable"
)

// A handshakeFailure says why a handshake failed, in words for the log.
type handshakeFailure struct {
	kind         string // for the limit on repeated lines: nothing in it comes from the client
	reason, hint string
	quiet        bool // not a failure
}

const (
	headerHint = "the address is in proxy_protocol of the listener, so a PROXY header must come first: switch it on in the load balancer (HAProxy: send-proxy or send-proxy-v2), or remove the address"
	clientHint = "client_ca of the listener asks for a certificate: see the keys client_ca and client_names, and the client's configuration"
	noneHint   = "client_ca of the listener asks for a certificate: give the client one, with its key; many clients do not send one that another authority signed"
	trustHint  = "give the client the certificate of the authority that signed the listener's certificate, and connect by a name that is in the certificate"
	plainHint  = "this port uses TLS: switch TLS on in the client, put stunnel before it, or add a [[listener]] without tls on another port"
)

// explainHandshake explains err. nc is the connection if TLS failed, and nil if the PROXY
// header did.
func explainHandshake(err error, nc net.Conn, l *Listener, within time.Duration) handshakeFailure {
	var header *balancer.Error
	var begin []byte
	w, ok := nc.(*wire)
	if ok {
		begin = w.begin[:w.n]
	}
	switch {
	case errors.As(err, &header):
		return handshakeFailure{kind: "header", reason: header.Text, hint: headerHint}
	case isClosedByPeer(err) && len(begin) == 0 && (ok || errors.Is(err, io.EOF)):
		return handshakeFailure{quiet: true} // a health check that only connects
	case errors.Is(err, os.ErrDeadlineExceeded):
		return handshakeFailure{kind: "timeout", reason: lateReason(nc, begin), hint: fmt.Sprintf("limits.handshake_timeout is %v", within)}
	case !ok:
		return handshakeFailure{kind: "header lost", reason: "the connection was lost within the PROXY header", hint: headerHint}
	case errors.As(err, new(tls.RecordHeaderError)):
		return explainPlain(string(begin))
	}
	if alert, ok := w.alert(); ok {
		return refusedByClient(alert)
	}
	return explainTLS(err)
}

func lateReason(nc net.Conn, begin []byte) string {
	switch {
	case nc == nil:
		return "no complete PROXY header came in time"
	case len(begin) == 0:
		return "the client has not begun the TLS handshake in time"
	}
	return "the client has not completed the TLS handshake in time"
}

// explainPlain explains a client that sends something other than TLS.
func explainPlain(begin string) handshakeFailure {
	f := handshakeFailure{kind: "plain", reason: "the client does not use TLS", hint: plainHint}
	switch p := foreignProtocol(begin); {
	case strings.HasPrefix(begin, "PROXY "), strings.HasPrefix(begin, "\r\n\r\n\x00\r\nQUIT\n"):
		f.kind, f.reason, f.hint = "plain header", "a PROXY header from an address that is not in proxy_protocol of the listener", proxyHint
	case p != nil:
		f.reason = p.name + " instead of TLS"
	case begin != "" && strings.ContainsAny(begin[:1], "znPSVRCIF"):
		f.reason = "a plain command instead of TLS"
	}
	return f
}

// explainTLS explains an error of a TLS handshake.
func explainTLS(err error) handshakeFailure {
	var verify *tls.CertificateVerificationError
	var name *certs.NameError
	var op *net.OpError
	text := strings.TrimPrefix(err.Error(), "tls: ")
	switch {
	case strings.HasPrefix(text, "client offered only unsupported versions"):
		return handshakeFailure{kind: "version", reason: "the client offers only " + offered(text) + ", and TLS 1.2 is needed", hint: "update the client, or its TLS library"}
	case strings.Contains(text, "didn't provide a certificate"):
		return handshakeFailure{kind: "no certificate", reason: "the client sent no certificate", hint: noneHint}
	case errors.As(err, &verify):
		return handshakeFailure{kind: "certificate", reason: certificateReason(verify), hint: clientHint}
	case errors.As(err, &name):
		return handshakeFailure{kind: "name", reason: printable.Escape(name.Error(), maxLoggedPath), hint: clientHint}
	case errors.As(err, &op) && op.Op == "remote error":
		return refusedByClient(op.Err)
	case isClosedByPeer(err):
		return handshakeFailure{kind: "closed", reason: "the client closed the connection within the TLS handshake", hint: trustHint}
	}
	return handshakeFailure{kind: "other", reason: "the TLS handshake failed: " + printable.Escape(text, maxLoggedName)}
}

// refusedByClient explains the client's alert.
func refusedByClient(alert error) handshakeFailure {
	return handshakeFailure{kind: "alert", reason: "the client refused the handshake: " + strings.TrimPrefix(alert.Error(), "tls: "), hint: trustHint}
}

// versions matches the list in an error of crypto/tls.
var versions = regexp.MustCompile(`[0-9a-f]+`)

// offered returns the newest of the TLS versions that an error lists: "[302 301]". Some
// clients add numbers that are no versions (GREASE, RFC 8701).
func offered(text string) string {
	_, list, _ := strings.Cut(text, "[")
	newest := uint64(0)
	for _, hex := range versions.FindAllString(list, -1) {
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && n <= tls.VersionTLS13 {
			newest = max(newest, n)
		}
	}
	if newest < tls.VersionTLS10 {
		return "SSL"
	}
	return tls.VersionName(uint16(newest))
}

// certificateReason says why a client's certificate is refused.
func certificateReason(err *tls.CertificateVerificationError) string {
	what := "the client's certificate"
	if len(err.UnverifiedCertificates) > 0 {
		if names := err.UnverifiedCertificates[0].DNSNames; len(names) > 0 {
			what += " for " + printable.Escape(names[0], maxLoggedName)
		}
	}
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err.Err, new(x509.UnknownAuthorityError)):
		return what + " is not from an authority in client_ca"
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil && time.Now().Before(invalid.Cert.NotBefore):
		return fmt.Sprintf("%s is not valid yet, only from %s on", what, invalid.Cert.NotBefore.Format(time.RFC3339))
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		return fmt.Sprintf("%s expired on %s", what, invalid.Cert.NotAfter.Format(time.RFC3339))
	case errors.As(err.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return what + " is not one for clients (extended key usage)"
	}
	return what + " is not valid: " + printable.Escape(strings.TrimPrefix(err.Err.Error(), "x509: "), maxLoggedName)
}

// isClosedByPeer reports whether err means that the other end has closed or reset the
// connection.
func isClosedByPeer(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

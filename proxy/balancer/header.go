// Package balancer reads the PROXY protocol header with which a load balancer says who its
// client is.
package balancer

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/pires/go-proxyproto"
)

// Limits on the length of a header.
const (
	maxV1 = 107  // by the specification
	maxV2 = 4096 // after its fixed part; most of it would be TLVs
)

const fixedV2 = 16 // signature, command, family, length

// A Header is what a load balancer says about a connection.
type Header struct {
	// Addr is the client's address. The zero AddrPort means that there is none: the
	// connection is the balancer's own (LOCAL, such as a health check), the balancer does
	// not know its client (UNKNOWN, UNSPEC), or the client is on a Unix socket.
	Addr netip.AddrPort
	// Own means that the connection is the balancer's own, or that of a client that it
	// does not know.
	Own bool
}

// An Error says why a header is refused, in words for the log.
type Error struct{ Text string }

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Errors of Read.
var (
	ErrNone  = &Error{"the connection does not begin with a PROXY header"}
	errEnded = &Error{"the connection ends within the PROXY header"}
	errLong  = &Error{"the PROXY header is too long"}
)

// Read reads one header of version 1 or 2, and nothing after it. It gives up at the first
// byte that cannot belong to a header. The error is an [*Error], that of r, or io.EOF if
// there is no byte. It reads and holds at most 4112 bytes.
func Read(r io.Reader) (Header, error) {
	b, err := readSignature(r)
	if err != nil {
		return Header{}, err
	}
	if isV1(b) {
		b, err = readLine(r, b)
	} else {
		b, err = readV2(r, b)
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errEnded
	}
	if err != nil {
		return Header{}, err
	}
	return parse(b)
}

func isV1(b []byte) bool { return bytes.HasPrefix(b, proxyproto.SIGV1) }

// readSignature reads the twelve bytes with which both versions begin, at least.
func readSignature(r io.Reader) ([]byte, error) {
	b := make([]byte, len(proxyproto.SIGV2), maxV1)
	for n := 0; n < len(b); {
		m, err := r.Read(b[n:])
		n += m
		if !begins(b[:n], proxyproto.SIGV1) && !begins(b[:n], proxyproto.SIGV2) {
			return nil, ErrNone
		}
		switch {
		case n == 0 && errors.Is(err, syscall.ECONNRESET):
			return nil, io.EOF // a health check that ends with a reset
		case err == io.EOF && n > 0 && n < len(b):
			return nil, errEnded
		case err != nil && n < len(b):
			return nil, err
		}
	}
	return b, nil
}

// begins reports whether b may be the beginning of something with this signature.
func begins(b, signature []byte) bool {
	n := min(len(b), len(signature))
	return bytes.Equal(b[:n], signature[:n])
}

// readLine reads the rest of a header of version 1.
func readLine(r io.Reader, b []byte) ([]byte, error) {
	for b[len(b)-1] != '\n' {
		if len(b) == maxV1 {
			return nil, errLong
		}
		b = append(b, 0)
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// readV2 reads the rest of a header of version 2.
func readV2(r io.Reader, b []byte) ([]byte, error) {
	b = b[:fixedV2]
	if _, err := io.ReadFull(r, b[len(proxyproto.SIGV2):]); err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(b[fixedV2-2:]))
	if length > maxV2 {
		return nil, errLong
	}
	b = append(b, make([]byte, length)...)
	_, err := io.ReadFull(r, b[fixedV2:])
	return b, err
}

const unspecified = "\x21\x00" // command PROXY, family UNSPEC, in version 2

// parse parses a complete header.
func parse(b []byte) (Header, error) {
	if !isV1(b) && string(b[12:14]) == unspecified {
		return Header{Own: true}, nil // the parser refuses it
	}
	r := bufio.NewReaderSize(bytes.NewReader(b), fixedV2+maxV2)
	h, err := proxyproto.Read(r)
	switch {
	case err != nil:
		return Header{}, &Error{"the PROXY header is not valid: " + reason(err)}
	case r.Buffered() > 0:
		return Header{}, &Error{"the PROXY header is not valid: its length is wrong"}
	case h.Command == proxyproto.LOCAL, h.TransportProtocol == proxyproto.UNSPEC:
		return Header{Own: true}, nil
	}
	switch a := h.SourceAddr.(type) {
	case *net.TCPAddr:
		return Header{Addr: unmapped(a.AddrPort())}, nil
	case *net.UnixAddr:
		if h.TransportProtocol == proxyproto.UnixStream {
			return Header{}, nil
		}
	}
	return Header{}, &Error{"the PROXY header is not valid: it is not about a stream"}
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// reason returns the error of the parser that err wraps, without its prefix.
func reason(err error) string {
	for _, known := range []error{
		proxyproto.ErrInvalidAddress, proxyproto.ErrInvalidPortNumber, proxyproto.ErrInvalidLength, proxyproto.ErrLineMustEndWithCrlf,
		proxyproto.ErrUnsupportedProtocolVersionAndCommand, proxyproto.ErrUnsupportedAddressFamilyAndProtocol,
	} {
		if errors.Is(err, known) {
			return strings.TrimPrefix(known.Error(), "proxyproto: ")
		}
	}
	return "it is damaged"
}

// Trusted are the load balancers whose connections begin with a header. The zero Trusted
// trusts none.
type Trusted struct {
	Prefixes []netip.Prefix
	Unix     bool // those on Unix sockets
}

// Any reports whether any balancer is trusted.
func (t Trusted) Any() bool { return t.Unix || len(t.Prefixes) > 0 }

// Has reports whether the balancer at an address, which is not valid for one on a Unix
// socket, is trusted.
func (t Trusted) Has(a netip.Addr) bool {
	if !a.IsValid() {
		return t.Unix
	}
	a = a.Unmap().WithZone("")
	for _, p := range t.Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

package listen

import (
	"errors"
	"io/fs"
	"net"
	"syscall"

	"polyclam/cmd/internal/sockaddr"
)

// NoGroup leaves a Unix socket to the daemon's own group.
const NoGroup = -1

// Options are the settings of a Unix socket.
type Options struct {
	Mode  fs.FileMode
	Group int // NoGroup: the daemon's own
	// MakeDirectory creates the socket's directory wherever it is. Otherwise only a runtime
	// directory is created, see [makesDirectory].
	MakeDirectory bool
	// IsPolyclamd reports whether a polyclamd serves a network address, for a listener whose
	// clients do not begin with clamd's protocol; nil: they do.
	IsPolyclamd func(network, address string) bool
	// Guard is the key because of which a polyclamd at this address may not answer a
	// [Checker]; "": none. Then another program there is only a warning.
	Guard string
}

// Open opens the socket at a. Its error says what to do.
func Open(a sockaddr.Addr, o Options) (net.Listener, error) {
	ln, err := open(a, o)
	var used *inUseError
	if errors.As(err, &used) && used.holder != clamd && o.IsPolyclamd != nil && o.IsPolyclamd(a.DialTarget()) {
		used.holder = polyclamd
	}
	return ln, err
}

func open(a sockaddr.Addr, o Options) (net.Listener, error) {
	if a.IsTCP() {
		ln, err := openTCP(a.TCP(), false)
		if err != nil {
			return nil, explainTCP(a, err)
		}
		return ln, nil
	}
	if err := makeDirectory(a.Path(), o.MakeDirectory); err != nil {
		return nil, err
	}
	s, err := openUnix(a.Path(), o.Mode, o.Group)
	if err != nil {
		return nil, err // not s, which would not be nil in the interface
	}
	return s, nil
}

// IsUnavailable reports whether err means that this machine does not have the address, such
// as any IPv6 address on a machine without IPv6.
func IsUnavailable(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT)
}

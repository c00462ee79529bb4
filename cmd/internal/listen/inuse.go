package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"polyclam/cmd/internal/sockaddr"
	"polyclam/protocol"
)

// askTime is how long a daemon may take to say what it is. A hung engine delays polyclamd's
// version by a second.
var askTime = 3 * time.Second

// A holder is a program that listens at an address.
type holder int

const (
	other     holder = iota // gives another answer, or none because it refuses connections
	silent                  // gives no answer in time
	clamd                   // a clamd, or another daemon that speaks its protocol
	polyclamd               // has polyclam's commands
)

// IsPolyclamd reports whether a polyclamd answers at a network address.
func IsPolyclamd(network, address string) bool {
	h, _ := ask(network, address, nil)
	return h == polyclamd
}

// A Dial connects to a network address, as in [protocol.Client].
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// IsPolyclamdBy is IsPolyclamd for an address where a conversation begins with something else
// than clamd's protocol, which dial does.
func IsPolyclamdBy(dial Dial, network, address string) bool {
	h, _ := ask(network, address, dial)
	return h == polyclamd
}

// ask asks the program that listens at a network address what it is. dial may be nil.
func ask(network, address string, dial Dial) (h holder, version string) {
	ctx, cancel := context.WithTimeout(context.Background(), askTime)
	defer cancel()
	c := &protocol.Client{Network: network, Address: address, Dial: dial}
	version, verbs, err := c.VersionCommands(ctx)
	var refused *protocol.ReplyError
	switch {
	case err == nil && slices.Contains(verbs, protocol.VerbXInstream):
		return polyclamd, version
	case err == nil:
		return clamd, version
	case errors.As(err, &refused) && c.Ping(ctx) == nil: // a clamd before 0.101
		return clamd, ""
	case ctx.Err() != nil:
		return silent, ""
	}
	return other, ""
}

// inUse is the error of an address at which another program listens.
func inUse(a sockaddr.Addr) error {
	network, address := a.DialTarget()
	h, version := ask(network, address, nil)
	return &inUseError{addr: a, holder: h, version: version}
}

type inUseError struct {
	addr    sockaddr.Addr
	holder  holder
	version string
}

func (e *inUseError) Error() string {
	text := "the socket is in use"
	if e.addr.IsTCP() {
		text = "address already in use"
	}
	switch e.holder {
	case polyclamd:
		return text + ": another polyclamd answers there; stop it, or choose another address"
	case clamd:
		return fmt.Sprintf("%s: a clamd answers there (%.60q); \"polyclam init\" shows how polyclam takes its place", text, e.version)
	}
	listens, names := "another program listens there", "ss -lxp"
	if e.holder == silent {
		listens += " and does not answer"
	}
	if e.addr.IsTCP() {
		names = fmt.Sprintf("ss -ltnp sport = :%d", e.addr.TCP().Port())
	}
	return fmt.Sprintf("%s: %s; \"%s\" names it", text, listens, names)
}

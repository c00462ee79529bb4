package config

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy"
	"polyclam/proxy/status"
)

func listenerPath(i int) position.Path { return position.Path("listener").Element(i) }

// leastRate is the lowest scans_per_second.
const leastRate = 0.0003

func validateListeners(f *File, r *report) {
	for i := range f.Listeners {
		l, at := &f.Listeners[i], listenerPath(i)
		validateListenerAddress(l, r, at)
		if !l.AgentCheck { // see validateAgent
			validateListenerTLS(l, r, at)
			validateProxyProtocol(l, r, at)
		}
		oneOf(r, at.Key("client"), "value", l.Client, status.Names())
		oneOf(r, at.Key("status"), "value", l.Status, []status.Form{status.Plain, status.Extended, status.Annotated})
		oneOf(r, at.Key("error_style"), "value", l.ErrorStyle, []status.ErrorStyle{status.StyleError, status.StyleClose, status.StyleLimits, status.StyleFound})
		oneOf(r, at.Key("status_command"), "value", l.StatusCommand, []proxy.StatusDetail{proxy.StatusFull, proxy.StatusBrief, proxy.StatusOff})
		validateAllow(l, r, at)
		if n := l.ScansPerSecond; n > 0 && n < leastRate {
			r.fail(at.Key("scans_per_second"), "%v is less than one scan in an hour; write at least %v, or delete the key for no limit", n, leastRate)
		}
		r.failKeys(at, l.Profile().Validate())
		validateNoOverlap(f, i, r)
		validateAgent(l, r, at)
		validateNotReady(l, r, at)
		l.path = at
	}
}

// validateNoOverlap reports listener i if its address certainly includes one of an earlier
// listener. What names mean is known only when they are looked up.
func validateNoOverlap(f *File, i int, r *report) {
	key, address := listenerPath(i).Key("address"), f.Listeners[i].Address
	j := slices.IndexFunc(f.Listeners[:i], func(l Listener) bool { return sockaddr.Conflict(l.Address, address) })
	if j >= 0 && !r.isBad(key) {
		r.fail(key, "%s", overlapText(address, f.Listeners[j].Address, r.lines.Line(listenerPath(j).Key("address"))))
	}
}

// overlapText explains that two listeners share an address.
func overlapText(address, other string, line int) string {
	a, aName, _ := sockaddr.Parse(address)
	b, bName, _ := sockaddr.Parse(other)
	if a == b && strings.EqualFold(aName.Host, bName.Host) {
		return fmt.Sprintf("%q is already the address of the listener in line %d; every listener needs its own", address, line)
	}
	return fmt.Sprintf("%q and %q of the listener in line %d include the same address; delete one of them", address, other, line)
}

func validateListenerAddress(l *Listener, r *report, at position.Path) {
	key := at.Key("address")
	if !r.has(key) {
		r.fail(at, "the listener has no address; write address = \"unix:/run/polyclam/clamd.sock\" or \"tcp:127.0.0.1:3310\"")
	}
	if !r.isGood(key) {
		return
	}
	network := validateAddress(r, key, l.Address, 0)
	for _, name := range []string{"mode", "group"} {
		if network == "tcp" && r.has(at.Key(name)) {
			r.fail(at.Key(name), "a TCP listener has no %s; delete the key, or use a Unix socket", name)
		}
	}
}

// validateAddress checks an address at p, whose port must be at least low, and returns
// its network, or "".
func validateAddress(r *report, p position.Path, address string, low int) (network string) {
	network, rest, err := backends.ParseAddress(address)
	if err != nil {
		r.fail(p, "%v", err)
		return ""
	}
	if network == "tcp" {
		_, port, _ := net.SplitHostPort(rest) // ParseAddress accepts nothing else
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || int(n) < low {
			r.fail(p, "%q: port %q is not a number between %d and 65535; clamd's port is 3310", address, port, low)
		}
	}
	return network
}

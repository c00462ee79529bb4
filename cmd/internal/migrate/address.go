package migrate

import (
	"net"
	"path"
	"strconv"
	"strings"

	"polyclam/backends"
)

// clamdPortNumber is clamd's usual port, which most clients assume.
const clamdPortNumber = "3310"

// addressOf returns an address of a client's configuration as one of polyclam's:
// "/path", "host", "host:port", "[host]:port", and the same after "unix:", "tcp:" or
// another of the schemes. The port is clamd's if there is none.
func addressOf(s string, schemes ...string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, scheme := range append(schemes, "unix:", "tcp:") {
		s = strings.TrimPrefix(s, scheme)
	}
	if path.IsAbs(s) {
		return valid("unix:" + s)
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.Trim(s, "[]"), clamdPortNumber
	}
	return tcpOf(host, port)
}

// tcpOf returns the address of a host and a port. A name that only the client can expand
// is none.
func tcpOf(host, port string) (string, bool) {
	n, err := strconv.ParseUint(port, 10, 16)
	if strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return "", false
	}
	if err != nil || strings.ContainsAny(host, "$%{}()/\\\"' \t,;") {
		return "", false
	}
	return valid("tcp:" + net.JoinHostPort(strings.ToLower(host), strconv.FormatUint(n, 10)))
}

// valid returns an address unless polyclam's own configuration would refuse it, like
// the host "*" or a path too long for a socket.
func valid(address string) (string, bool) {
	if _, _, err := backends.ParseAddress(address); err != nil || !isText(address) {
		return "", false
	}
	return address, true
}

// listenerOf returns the index of clamd's listener that an address leads to, or -1.
func (m *Machine) listenerOf(address string) int {
	if m.clamd == nil {
		return -1
	}
	for i := range m.clamd.listeners {
		if m.leadsTo(address, m.clamd.listeners[i].address) {
			return i
		}
	}
	return -1
}

// leadsTo reports whether a client that connects to an address reaches the listener on
// another.
func (m *Machine) leadsTo(address, listener string) bool {
	if m.same(address, listener) {
		return true
	}
	if a, ok := strings.CutPrefix(address, "unix:"); ok {
		b, ok := strings.CutPrefix(listener, "unix:")
		return ok && m.root.place(a) == m.root.place(b)
	}
	a, portA, errA := net.SplitHostPort(strings.TrimPrefix(address, "tcp:"))
	b, portB, errB := net.SplitHostPort(strings.TrimPrefix(listener, "tcp:"))
	if errA != nil || errB != nil || portA != portB || strings.HasPrefix(listener, "unix:") {
		return false
	}
	wild := net.ParseIP(b)
	switch local := m.isLocal(a); {
	case !local:
		return false
	case wild != nil && wild.IsUnspecified():
		return true
	}
	return a == "localhost" && net.ParseIP(b).IsLoopback()
}

// isLocal reports whether a host is this machine, for all that can be known without DNS.
func (m *Machine) isLocal(host string) bool {
	ip := net.ParseIP(host)
	switch {
	case host == "localhost", ip != nil && (ip.IsLoopback() || ip.IsUnspecified()):
		return true
	case ip == nil || !m.root.own():
		return false
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
			return true
		}
	}
	return false
}

// place returns a socket's path with the links in its directory resolved.
func (r root) place(socket string) string {
	socket = path.Clean(socket)
	dir, err := r.resolve(path.Dir(socket))
	if err != nil {
		return socket
	}
	return path.Join(dir, path.Base(socket))
}

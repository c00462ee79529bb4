package migrate

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"polyclam/backends"
)

// readSocketUnit corrects clamd's addresses if systemd creates its sockets: clamd 1.4.6
// then listens on these and no others, whatever clamd.conf says.
func (m *Machine) readSocketUnit() {
	unit := m.service().socket
	if unit == "" || m.clamd.moved {
		return
	}
	d := m.clamd
	_, streams := m.root.unitLines(unit, "ListenStream")
	list := m.streamListeners(unit, streams)
	if len(list) == 0 {
		return
	}
	for _, l := range d.listeners {
		if slices.ContainsFunc(list, func(o listener) bool { return m.leadsTo(l.address, o.address) }) {
			continue
		}
		if m.ping(l.address) == nil {
			d.ignored = nil
			return // clamd does not use the unit
		}
		d.ignored = append(d.ignored, fmt.Sprintf("%s: clamd does not listen on %s, because %s creates its sockets", l.addressFrom, l.address, unit))
	}
	slices.SortStableFunc(list, func(a, b listener) int { return cmp.Compare(btoi(b.unix()), btoi(a.unix())) })
	if !list[0].unix() {
		_, place, _ := net.SplitHostPort(strings.TrimPrefix(list[0].address, "tcp:"))
		if port, err := strconv.ParseInt(place, 10, 32); err == nil {
			d.engine = tcpAddress("127.0.0.1", nextPort(port))
		}
	} else if !d.listeners[0].unix() || d.listeners[0].address != list[0].address {
		d.engine = "unix:" + engineName(strings.TrimPrefix(list[0].address, "unix:"))
	}
	d.listeners = list
	if list[0].unix() {
		m.readSocketAccess(unit, &d.listeners[0])
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// streamListeners returns the addresses of a socket unit, those of clamd.conf with their
// source there. clamd has one Unix socket at most.
func (m *Machine) streamListeners(unit string, streams []string) (list []listener) {
	add := func(l listener) {
		if _, _, err := backends.ParseAddress(l.address); err != nil || !isText(l.address) {
			return
		}
		if l.unix() && slices.ContainsFunc(list, func(o listener) bool { return o.unix() }) {
			return
		}
		if at := slices.IndexFunc(m.clamd.listeners, func(o listener) bool { return m.leadsTo(l.address, o.address) && m.leadsTo(o.address, l.address) }); at >= 0 {
			l = m.clamd.listeners[at]
		}
		list = append(list, l)
	}
	for _, s := range streams {
		from := unit + ": ListenStream=" + s
		if s = strings.ReplaceAll(s, "%t", "/run"); strings.HasPrefix(s, "/") {
			add(listener{address: "unix:" + m.root.short(strings.ReplaceAll(s, "%%", "%")), addressFrom: from})
			continue
		}
		host, place, err := net.SplitHostPort(s)
		hosts := []string{host}
		if err != nil { // a port of all addresses
			place, hosts = s, m.root.everywhere()
		}
		port, err := strconv.ParseUint(place, 10, 16)
		if err != nil || port == 0 {
			continue // "@name", "vsock:..."
		}
		for _, h := range hosts {
			add(listener{address: tcpAddress(h, int64(port)), addressFrom: from, open: isOpen(h)})
		}
	}
	return list
}

// readSocketAccess reads the mode and the group of the Unix socket: those of clamd.conf
// have no effect.
func (m *Machine) readSocketAccess(unit string, l *listener) {
	last := func(key string) string {
		_, lines := m.root.unitLines(unit, key)
		if len(lines) == 0 {
			return ""
		}
		return lines[len(lines)-1]
	}
	mode, text := uint64(0o666), last("SocketMode")
	if n, err := strconv.ParseUint(text, 8, 32); err == nil && n <= 0o777 {
		mode = n & 0o666
	}
	if octal := fmt.Sprintf("%04o", mode); octal != cmp.Or(l.mode, "0666") {
		l.mode, l.modeFrom = octal, fmt.Sprintf("%s creates the socket, with SocketMode=%s", unit, cmp.Or(text, "0666"))
	}
	name := last("SocketGroup")
	if group, ok := m.root.group(name); ok && name != "" && group != l.group {
		l.group, l.groupFrom = group, fmt.Sprintf("%s creates the socket, with SocketGroup=%s", unit, name)
	}
}

// readSocketOwner finds who owns the Unix socket, if not everybody may connect: clamd's
// user, with its primary group, or the user of the unit.
func (m *Machine) readSocketOwner() {
	l := &m.clamd.listeners[0]
	if !l.unix() || othersMayConnect(l.mode) {
		return
	}
	unit := m.service().socket
	if unit != "" {
		if _, users := m.root.unitLines(unit, "SocketUser"); len(users) > 0 {
			m.setSocketUser(users[len(users)-1])
		}
		return
	}
	user := m.clamdAccount()
	m.setSocketUser(user.name)
	if group, ok := m.root.group(user.group); ok && user.group != "" && user.gid > 0 && l.group == "" {
		l.group, l.groupFrom = group, "The group of clamd's user "+user.name+", which owns clamd's socket."
	}
}

func (m *Machine) setSocketUser(name string) {
	if a, ok := m.root.account(name); ok && a.uid != 0 && isAccountName(name) {
		m.clamd.socketUser = name
	}
}

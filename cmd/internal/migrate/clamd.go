package migrate

import (
	"fmt"
	"net"
	"os/user"
	"path"
	"strconv"
	"strings"

	"polyclam/backends"
)

// clamd is a clamd that polyclam can replace.
type clamd struct {
	conf *conf
	// listeners are its addresses, which polyclam takes over, a Unix socket first.
	listeners []listener
	// engine is its new address, as in polyclam's configuration.
	engine string
	// moved means that clamd.conf already names the new address, because someone edited
	// it.
	moved bool
	user  option // that it runs as; zero: not in clamd.conf
	// socketUser owns the Unix socket; empty: root, or everybody may connect.
	socketUser string
	// ignored are notes about addresses in clamd.conf on which clamd does not listen.
	ignored []string
}

// listener is a [[listener]] for polyclam, with the source of its values.
type listener struct {
	address, addressFrom string
	mode, modeFrom       string
	group, groupFrom     string
	open                 bool // other machines can reach it
}

func (l *listener) unix() bool { return strings.HasPrefix(l.address, "unix:") }

// engineMark is part of the new names of clamd's files.
const engineMark = "-engine"

// engineName adds the mark to a path, before the extension.
func engineName(p string) string {
	ext := path.Ext(p)
	return strings.TrimSuffix(p, ext) + engineMark + ext
}

// clientName removes the mark from a path; it returns false if there is none.
func clientName(p string) (string, bool) {
	ext := path.Ext(p)
	stem, ok := strings.CutSuffix(strings.TrimSuffix(p, ext), engineMark)
	return stem + ext, ok && path.Base(stem) != "/"
}

// readClamd finds the addresses in a clamd.conf. The error explains to the administrator
// why polyclam cannot take them over.
func (r root) readClamd(c *conf) (*clamd, error) {
	d := &clamd{conf: c}
	d.user, _ = c.find("User")
	if err := d.readSocket(r); err != nil {
		return nil, err
	}
	if err := d.readPort(r); err != nil {
		return nil, err
	}
	if len(d.listeners) == 0 {
		return nil, fmt.Errorf("%s: there is neither LocalSocket nor TCPSocket; clamd does not start with such a file", c.path)
	}
	return d, nil
}

func (d *clamd) readSocket(r root) error {
	o, ok := d.conf.find("LocalSocket")
	if !ok {
		return nil
	}
	fail := func(format string, args ...any) error {
		return problemError{problem{d.conf.path, o.line, o.key, fmt.Sprintf(format, args...)}}
	}
	if !path.IsAbs(o.value) {
		return fail("%q depends on the directory in which clamd is started; make it absolute", o.value)
	}
	if !isText(o.value) {
		return fail("%q is not plain text and cannot be in polyclam's configuration", o.value)
	}
	place := r.short(path.Clean(o.value))
	l := listener{address: "unix:" + place, addressFrom: d.conf.source(o)}
	d.engine = "unix:" + engineName(place)
	if client, moved := clientName(place); moved {
		d.moved = true
		d.engine, l.address = l.address, "unix:"+client
		l.addressFrom += ", without \"" + engineMark + "\", which marks clamd's new address"
	}
	for _, address := range []string{l.address, d.engine} {
		if _, _, err := backends.ParseAddress(address); err != nil {
			return fail("%v", err)
		}
	}
	if place != o.value && !d.moved {
		l.addressFrom += ", which is the same"
	}
	d.readAccess(r, &l)
	d.listeners = append(d.listeners, l)
	return nil
}

// readAccess reads the mode and the group of the Unix socket.
func (d *clamd) readAccess(r root, l *listener) {
	if o, ok := d.conf.find("LocalSocketMode"); ok {
		mode, err := strconv.ParseUint(o.value, 8, 32)
		if err != nil || mode > 0o777 {
			d.conf.complain(o.line, o.key, "%q is not a mode; left out", o.value)
		} else {
			// clamd 1.4.6 uses only the bits of 0666 (clamd/localserver.c).
			l.mode, l.modeFrom = fmt.Sprintf("%04o", mode&0o666), d.conf.source(o)
		}
	}
	o, ok := d.conf.find("LocalSocketGroup")
	if !ok {
		return
	}
	group, found := r.group(o.value)
	if !found {
		d.conf.complain(o.line, o.key, "there is no group %q; left out", o.value)
		return
	}
	l.group, l.groupFrom = group, d.conf.source(o)
}

// group returns a group for the configuration: its name or, if the root is another
// machine's, its number there.
func (r root) group(name string) (string, bool) {
	if _, err := strconv.ParseUint(name, 10, 31); err == nil {
		return name, true
	}
	if r.own() {
		_, err := user.LookupGroup(name)
		return name, err == nil
	}
	data, _, err := r.read("/etc/group")
	if err != nil {
		return "", false
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) >= 3 && f[0] == name {
			_, err := strconv.ParseUint(f[2], 10, 31)
			return f[2], err == nil
		}
	}
	return "", false
}

// readPort reads TCPSocket and all TCPAddr lines.
func (d *clamd) readPort(r root) error {
	port, o, ok := d.conf.number("TCPSocket")
	if !ok {
		return nil
	}
	if port < 1 || port > 65535 {
		return problemError{problem{d.conf.path, o.line, o.key, fmt.Sprintf("%d is not a port", port)}}
	}
	from := d.conf.source(o)
	var list []listener
	for _, a := range d.conf.all("TCPAddr") {
		for _, host := range r.hosts(a.value) {
			l := listener{address: tcpAddress(host, port), addressFrom: from + "; " + d.conf.source(a), open: isOpen(host)}
			if _, _, err := backends.ParseAddress(l.address); err != nil || !isText(host) {
				d.conf.complain(a.line, a.key, "%q is not an address; left out", a.value)
				continue
			}
			list = append(list, l)
		}
	}
	if len(d.conf.all("TCPAddr")) == 0 {
		for _, host := range r.everywhere() {
			list = append(list, listener{address: tcpAddress(host, port), addressFrom: from + "; without TCPAddr, on all addresses", open: true})
		}
	}
	d.listeners = append(d.listeners, r.distinct(list)...)
	if d.engine == "" && len(list) > 0 {
		// Without a LocalSocket, no directory is certain to be writable for clamd.
		d.engine = tcpAddress("127.0.0.1", nextPort(port))
	}
	return nil
}

// nextPort returns a neighbouring port.
func nextPort(port int64) int64 {
	if port == 65535 {
		return port - 1
	}
	return port + 1
}

func tcpAddress(host string, port int64) string {
	return "tcp:" + net.JoinHostPort(host, strconv.FormatInt(port, 10))
}

// isOpen reports whether other machines can reach a host.
func isOpen(host string) bool {
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

type problemError struct{ problem }

func (e problemError) Error() string { return e.String() }

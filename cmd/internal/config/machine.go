package config

import (
	"fmt"
	"net"
	"net/netip"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
)

// The functions in this file report what is wrong on this machine with a file that is
// right in itself. Callers find such problems when they open what the file names.

// ProblemAt returns a problem at the line of a key, such as "spool.directory".
func (f *File) ProblemAt(key position.Path, format string, args ...any) Problem {
	return Problem{File: f.Name, Line: f.lines.Line(key), Key: key.Name(), Text: fmt.Sprintf(format, args...)}
}

// ListenerProblem returns a problem at a key of a listener.
func (f *File) ListenerProblem(l *Listener, key, format string, args ...any) Problem {
	if l.path == "" {
		return f.ProblemAt("listener", format, args...)
	}
	return f.ProblemAt(l.path.Key(key), format, args...)
}

// Overlap returns the problem that listener l includes an address of other.
func (f *File) Overlap(l, other *Listener) Problem {
	if other.path == "" {
		return f.ListenerProblem(l, "address", "%q includes an address of the socket %q, which systemd passed; write the address of that socket here, or change ListenStream= in the socket unit", l.Configured, other.Address)
	}
	return f.ListenerProblem(l, "address", "%s", overlapText(l.Configured, other.Configured, f.lines.Line(other.path.Key("address"))))
}

// ReplaceListeners replaces the listeners by those of the sockets that they stand for. Each
// needs a place among limits.connections.
func (f *File) ReplaceListeners(sockets []Listener) error {
	f.Listeners = sockets
	if n := len(sockets); f.Limits.Connections <= n {
		return Problems{f.ProblemAt("limits.connections", "%d is too few for the %d sockets of the listeners; write more than their number", f.Limits.Connections, n)}
	}
	return nil
}

// Warn adds warnings to those of the file.
func (f *File) Warn(problems ...Problem) {
	f.Warnings = append(f.Warnings, problems...)
	f.Warnings.sort()
}

// Hosts returns the host names that the addresses of engines have, each with the key of its
// address.
func (f *File) Hosts() map[string]position.Path {
	hosts := map[string]position.Path{}
	for i := range f.Engines {
		for _, address := range f.Engines[i].Addresses {
			if host, ok := hostName(address); ok {
				key := enginePath(i).Key("addresses")
				if !f.lines.Has(key) {
					key = enginePath(i).Key("address")
				}
				hosts[host] = key
			}
		}
	}
	return hosts
}

// hostName returns the host of a TCP address, if it is a name. Engines also accept names of
// ports.
func hostName(address string) (string, bool) {
	network, rest, err := backends.ParseAddress(address)
	if err != nil || network != "tcp" {
		return "", false
	}
	host, _, err := net.SplitHostPort(rest)
	if err != nil {
		return "", false
	}
	_, err = netip.ParseAddr(host)
	return host, err != nil
}

package config

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"

	"polyclam/backends"
	"polyclam/cmd/internal/config/position"
	"polyclam/cmd/internal/sockaddr"
	"polyclam/proxy/resolve"
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
	f.Warnings.Sort()
}

// IsName reports whether the address is a host name, which may be several sockets.
func (l *Listener) IsName() bool {
	_, name, err := sockaddr.Parse(l.Configured)
	return err == nil && name.Host != ""
}

// SpoolProblem returns the problem that the spool cannot be opened, with its remedy.
func (f *File) SpoolProblem(err error) Problem {
	key := position.Path("spool.directory")
	if f.Store.Directory == "" {
		key = "spool.store"
	}
	if errors.Is(err, syscall.ENOSPC) {
		return f.ProblemAt(key, "%v; make room, or choose another directory", err)
	}
	return f.ProblemAt(key, "%v", err)
}

// A Resolver looks up names. [net.DefaultResolver] is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Look adds warnings about paths that do not exist and names that have no address. They may
// appear later, so they do not keep the daemon from starting.
func (f *File) Look(ctx context.Context, r Resolver) {
	for i, root := range f.ScanPaths {
		if _, err := os.Stat(root); errors.Is(err, fs.ErrNotExist) {
			f.Warn(f.ProblemAt(position.Path("scan_paths").Element(i), "%s does not exist, so no path below it can be scanned", root))
		}
	}
	for i := range f.Engines {
		f.lookForHosts(ctx, r, i)
		f.lookForPrograms(i)
	}
}

func (f *File) lookForHosts(ctx context.Context, r Resolver, i int) {
	for j, address := range f.Engines[i].Addresses {
		host, isHost := hostName(address)
		if !isHost && !resolve.IsName(address) {
			continue
		}
		key := enginePath(i).Key("addresses").Element(j)
		if !f.lines.Has(key) {
			key = enginePath(i).Key("address")
		}
		if !isHost {
			f.lookUpName(ctx, &f.Engines[i], key, address)
			continue
		}
		if _, err := r.LookupNetIP(ctx, "ip", host); err != nil {
			f.Warn(f.ProblemAt(key, "the name %q has no address now (%s); the engine stays down until it has", host, lookupCause(err)))
		}
	}
}

func lookupCause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}

// lookForPrograms warns of programs that cannot be started.
func (f *File) lookForPrograms(i int) {
	e := &f.Engines[i]
	b, err := e.open(e.nodes()[0])
	if err != nil {
		return // reported by Build
	}
	if p, ok := b.(backends.ProgramRunner); ok {
		if err := p.CheckPrograms(); err != nil {
			f.Warn(f.ProblemAt(enginePath(i), "%v; objects stay %s until it can", err, backends.NotInstalled))
		}
	}
	if c, ok := b.(io.Closer); ok {
		c.Close()
	}
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

// Package allow decides who may use a listener: addresses and prefixes on TCP, users and
// groups on Unix sockets. Both come from the kernel, never from what a client sends.
package allow

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// A List is who may use a listener. The zero List allows everyone. It does not change once
// in use.
type List struct {
	prefixes []netip.Prefix
	uids     []uint32
	gids     []uint32
}

// New returns the list of these entries. Entries that do not fit the kind of socket are
// never matched.
func New(entries []Entry) List {
	var l List
	for _, e := range entries {
		switch e.Kind {
		case Network:
			l.prefixes = append(l.prefixes, e.Prefix)
		case User:
			l.uids = append(l.uids, e.ID)
		case Group:
			l.gids = append(l.gids, e.ID)
		}
	}
	return l
}

// Everyone reports whether l allows everyone.
func (l *List) Everyone() bool { return len(l.prefixes)+len(l.uids)+len(l.gids) == 0 }

// Address reports whether a client with this address is allowed.
func (l *List) Address(a netip.Addr) bool {
	if l.Everyone() {
		return true
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(l.prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// Process reports whether a process with these credentials is allowed. groups returns its
// supplementary groups; it is called only if they matter.
func (l *List) Process(uid, gid uint32, groups func() []uint32) bool {
	switch {
	case l.Everyone(), slices.Contains(l.uids, uid), slices.Contains(l.gids, gid):
		return true
	case len(l.gids) == 0:
		return false
	}
	return slices.ContainsFunc(groups(), func(gid uint32) bool { return slices.Contains(l.gids, gid) })
}

// Conn reports whether the client at the other end of nc is allowed, and returns the entry
// that would allow it. The address of a TCP client is that of nc.RemoteAddr. A client that
// the kernel does not identify is allowed only if everyone is.
func (l *List) Conn(nc net.Conn) (entry string, ok bool) {
	if l.Everyone() {
		return "", true
	}
	if socket, ok := Unix(nc); ok {
		cred, err := Credentials(socket)
		if err != nil {
			return "", false
		}
		return fmt.Sprintf("uid:%d", cred.Uid), l.Process(cred.Uid, cred.Gid, func() []uint32 { return Groups(socket) })
	}
	a, is := nc.RemoteAddr().(*net.TCPAddr)
	if !is {
		return "", false
	}
	ip := a.AddrPort().Addr().Unmap().WithZone("")
	return ip.String(), l.Address(ip)
}

// Kind is the kind of an [Entry].
type Kind int

// The kinds. A network is for TCP, users and groups are for Unix sockets.
const (
	Network Kind = iota
	User
	Group
)

// An Entry is one element of the key allow.
type Entry struct {
	Kind   Kind
	Prefix netip.Prefix // of a network; a single address has its full length
	ID     uint32       // of a user or group
}

// A Lookup finds the number of a user or a group by its name.
type Lookup func(name string) (id uint32, err error)

// Parse parses "10.0.0.0/8", "2001:db8::1", "uid:33", "uid:polyclam" or "gid:mail". Names
// are looked up by users and groups, whose errors it returns.
func Parse(text string, users, groups Lookup) (Entry, error) {
	switch kind, name, _ := strings.Cut(text, ":"); kind {
	case "uid":
		id, err := users(name)
		return Entry{Kind: User, ID: id}, err
	case "gid":
		id, err := groups(name)
		return Entry{Kind: Group, ID: id}, err
	}
	p, err := ParseNetwork(text, examples)
	return Entry{Kind: Network, Prefix: p}, err
}

const examples = `write an address or a prefix such as "10.0.0.0/8" or "2001:db8::/32", or for a Unix socket "uid:polyclam" or "gid:mail"`

// ParseNetwork parses an address, or a prefix without bits beyond its length. examples says in
// the error what to write instead.
func ParseNetwork(text, examples string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return netip.Prefix{}, fmt.Errorf("%q is not an address; %s", text, examples)
		case a.Zone() != "":
			return netip.Prefix{}, fmt.Errorf("%q has a zone, which is not checked; write %q", text, a.WithZone(""))
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return p, fmt.Errorf("%q is not a prefix; %s", text, examples)
	case p.Addr().Is4In6():
		return p, fmt.Errorf("%q is a prefix of IPv4 addresses written as IPv6; write it as IPv4, for example \"10.0.0.0/8\"", text)
	case p.Masked() != p:
		return p, fmt.Errorf("%q has bits beyond its length; write %q for the network, or %q for the one host", text, p.Masked(), p.Addr())
	}
	return p, nil
}

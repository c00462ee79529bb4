// Package resolve finds the nodes of an engine by name. It asks name servers for the
// addresses of a host (dns:NAME:PORT) or for a service (srv:_SERVICE._PROTO.NAME),
// repeatedly, and keeps the last good answer until there is another.
//
// It asks the name servers itself because package net shows neither how long an answer
// holds nor the priorities and weights of a service. It does not read /etc/hosts.
package resolve

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The beginnings of addresses that are names.
const (
	hostPrefix    = "dns:"
	servicePrefix = "srv:"
)

// A Name is an address that name servers resolve.
type Name struct {
	Text    string // as configured
	Host    string // what the name servers are asked for
	Port    uint16 // of a host; a service has its own ports
	Service bool   // a service, not a host
}

// IsName reports whether an address is a name for this package, correct or not.
func IsName(address string) bool {
	return strings.HasPrefix(address, hostPrefix) || strings.HasPrefix(address, servicePrefix)
}

// Parse parses an address for which IsName is true. Its errors show what a correct one looks
// like.
func Parse(address string) (Name, error) {
	n := Name{Text: address}
	rest, isHost := strings.CutPrefix(address, hostPrefix)
	if !isHost {
		n.Service = true
		rest = strings.TrimPrefix(address, servicePrefix)
		first, more, _ := strings.Cut(rest, ".")
		second, domain, _ := strings.Cut(more, ".")
		if !isServiceLabel(first) || !isServiceLabel(second) || strings.Trim(domain, ".") == "" || !isHostName(rest) {
			return n, fmt.Errorf("%q: write \"srv:_service._proto.name\", for example \"srv:_clamd._tcp.scan.example\"; the name servers know the ports", address)
		}
		n.Host = strings.ToLower(rest)
		return n, nil
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 {
		return n, fmt.Errorf("%q: write \"dns:name:port\", for example \"dns:clamd.scan.example:3310\"", address)
	}
	host, text := rest[:i], rest[i+1:]
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return n, fmt.Errorf("%q: %s is an address, not a name; write \"tcp:%s\"", address, host, rest)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || !isHostName(host) {
		return n, fmt.Errorf("%q: write \"dns:name:port\", for example \"dns:clamd.scan.example:3310\"", address)
	}
	n.Host, n.Port = strings.ToLower(host), uint16(port)
	return n, nil
}

func isServiceLabel(s string) bool { return len(s) > 1 && s[0] == '_' }

// isHostName accepts what name servers have in practice: letters, digits, '-' and '_'. A dot
// at the end means that the name is complete.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || strings.Trim(label, letters) != "" {
			return false
		}
	}
	return true
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

// ServerName is the name that a certificate must have. For a service that is the domain, not
// the host in the answers of name servers: an attacker who forges them could choose it.
func (n Name) ServerName() string {
	host := strings.TrimSuffix(n.Host, ".")
	if !n.Service {
		return host
	}
	_, more, _ := strings.Cut(host, ".")
	_, domain, _ := strings.Cut(more, ".")
	return domain
}

// HostPort is the name with a port, as in a Host header. A service gets the port of one of
// its nodes.
func (n Name) HostPort(port uint16) string {
	return net.JoinHostPort(n.ServerName(), strconv.Itoa(int(port)))
}

// A Target is an address that a name has at present.
type Target struct {
	Addr netip.AddrPort
	// Host is the name that has the address: the one that was looked up, or the one that a
	// record of a service names.
	Host string
	// Priority and Weight are those of a service, see RFC 2782. A host has none.
	Priority, Weight uint16
}

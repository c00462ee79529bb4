package migrate

import (
	"net"
	"slices"
	"strings"
)

// hosts returns the addresses of a TCPAddr. clamd 1.4.6 listens on all that a name has;
// the unit of systemd needs them as numbers. It knows localhost without DNS.
func (r root) hosts(name string) []string {
	if name != "localhost" {
		return []string{name}
	}
	list := []string{"127.0.0.1"}
	data, _, err := r.read("/etc/hosts")
	if err != nil {
		return list
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		text, _, _ := strings.Cut(line, "#")
		if f := strings.Fields(text); len(f) > 1 && f[0] == "::1" && slices.Contains(f[1:], "localhost") && r.hasIPv6() {
			return append(list, "::1")
		}
	}
	return list
}

// everywhere returns the hosts for all addresses. Without TCPAddr clamd 1.4.6 opens a
// socket for IPv4 and one for IPv6. For polyclam [::] is both, unless the system
// separates them.
func (r root) everywhere() []string {
	switch {
	case !r.hasIPv6():
		return []string{"0.0.0.0"}
	case r.separate():
		return []string{"0.0.0.0", "::"}
	}
	return []string{"::"}
}

// hasIPv6 reports whether the machine has IPv6; an image is assumed to.
func (r root) hasIPv6() bool {
	return !r.own() || r.exists("/proc/net/if_inet6")
}

// separate reports whether [::] is for IPv6 alone, by net.ipv6.bindv6only.
func (r root) separate() bool {
	data, _, err := r.read("/proc/sys/net/ipv6/bindv6only")
	return err == nil && strings.TrimSpace(string(data)) == "1"
}

// distinct removes duplicates, and addresses that a wildcard includes.
func (r root) distinct(list []listener) []listener {
	var all4, all6 bool
	hosts := make([]net.IP, len(list))
	for i, l := range list {
		host, _, _ := net.SplitHostPort(strings.TrimPrefix(l.address, "tcp:"))
		hosts[i] = net.ParseIP(host)
		all4 = all4 || hosts[i].Equal(net.IPv4zero)
		all6 = all6 || hosts[i].Equal(net.IPv6unspecified)
	}
	both := all6 && !r.separate() // [::] is for IPv4 too, so 0.0.0.0 could not be bound
	seen := map[string]bool{}
	var out []listener
	for i, l := range list {
		ip := hosts[i]
		wild := ip != nil && ip.IsUnspecified()
		switch is4 := ip.To4() != nil; {
		case seen[l.address],
			is4 && both,
			is4 && all4 && !wild,
			ip != nil && !is4 && all6 && !wild:
			continue
		}
		seen[l.address] = true
		if wild && ip.To4() == nil && !all4 && both && strings.Contains(l.addressFrom, "TCPAddr ::") {
			l.addressFrom += ", which accepts IPv4 here too, unlike clamd's"
		}
		out = append(out, l)
	}
	return out
}

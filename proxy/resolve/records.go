package resolve

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// maxAliases is how many aliases (CNAME) lead from a name to its addresses at most.
const maxAliases = 8

// follow returns the records of a kind that m has for a name, and the name that the aliases
// in m lead to. hops counts aliases over several answers. ttl is the shortest time that any
// of the records, aliases included, holds. Records of other names are ignored.
func follow(m *dns.Msg, name string, kind uint16, hops *int, ttl *uint32) (records []dns.RR, final string) {
	for {
		var alias *dns.CNAME
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if h.Rrtype == kind {
				records = append(records, rr)
				*ttl = min(*ttl, h.Ttl)
			} else if c, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = c
			}
		}
		if len(records) > 0 || alias == nil || *hops >= maxAliases {
			return records, name
		}
		*hops++
		*ttl = min(*ttl, alias.Hdr.Ttl)
		name = strings.ToLower(alias.Target)
	}
}

// address returns the address in a record, and whether a node can be there.
func address(rr dns.RR) (netip.Addr, bool) {
	var ip netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		ip, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		ip, _ = netip.AddrFromSlice(rr.AAAA)
	}
	ip = ip.Unmap()
	bad := !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() ||
		ip.Is6() && ip.IsLinkLocalUnicast() || // lacks the interface
		ip.Is4() && (ip.As4()[0] == 0 || ip.As4()[0] >= 240)
	return ip, !bad
}

// additional returns the addresses that the other records of m give for a host.
func additional(m *dns.Msg, host string, ttl *uint32) (list []netip.Addr) {
	for _, rr := range m.Extra {
		h := rr.Header()
		if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, host) {
			continue
		}
		if ip, ok := address(rr); ok {
			list = append(list, ip)
			*ttl = min(*ttl, h.Ttl)
		}
	}
	return list
}

// services returns the usable records of a service in a stable order: those with a port and
// a host.
func services(records []dns.RR) (list []*dns.SRV) {
	for _, rr := range records {
		if s, ok := rr.(*dns.SRV); ok && s.Port != 0 && s.Target != "." && s.Target != "" {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *dns.SRV) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), strings.Compare(strings.ToLower(a.Target), strings.ToLower(b.Target)), cmp.Compare(a.Port, b.Port), -cmp.Compare(a.Weight, b.Weight))
	})
	return list
}

// bounded sorts targets, drops all but the first of each address, and returns at most limit
// of them, those with the lowest priority first. Answers in another order lead to the same
// list.
func bounded(list []Target, limit int) (kept []Target, dropped int) {
	slices.SortFunc(list, func(a, b Target) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.Addr.Compare(b.Addr), -cmp.Compare(a.Weight, b.Weight), strings.Compare(a.Host, b.Host))
	})
	seen := map[netip.AddrPort]bool{}
	for _, t := range list {
		switch {
		case seen[t.Addr]:
			continue
		case len(kept) >= limit:
			dropped++
		default:
			kept = append(kept, t)
		}
		seen[t.Addr] = true
	}
	return kept, dropped
}

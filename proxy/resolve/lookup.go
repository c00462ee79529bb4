package resolve

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// lookupTime bounds one lookup with all its questions.
	lookupTime = 20 * time.Second
	// concurrent is how many questions a lookup has under way at a time.
	concurrent = 8
)

// An Answer is what a name has at present.
type Answer struct {
	Targets []Target // in a stable order, without duplicates
	Dropped int      // how many there are beyond the limit
	TTL     time.Duration
	// Partial is why some of the targets are from an earlier answer; nil: none are.
	Partial error
	// Next is the time until the next lookup, also after a failure. [Resolver.Watch] sets it.
	Next time.Duration
}

// Lookup looks a name up. previous are the targets of the last answer: where only a part of
// the questions is answered, those of the rest stay.
func (r *Resolver) Lookup(ctx context.Context, n Name, previous []Target) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	s := r.servers.get()
	l := &lookup{servers: s, previous: previous, ttl: math.MaxUint32}
	find := l.host
	if n.Service {
		find = l.service
	}
	var targets []Target
	var err error
	for _, name := range s.candidates(n.Host) {
		var e error
		targets, e = find(ctx, name, n.Port)
		if e == nil {
			err = nil
			break
		}
		// A failure ends the search: the next candidate may be something else.
		if err = e; !isAbsent(e) {
			break
		}
	}
	if err == nil && len(targets) == 0 {
		err = failed("%s is not a name that can be looked up", shown(n.Host))
	}
	if err != nil {
		return Answer{}, err
	}
	a := Answer{TTL: time.Duration(l.ttl) * time.Second, Partial: l.partial}
	a.Targets, a.Dropped = bounded(targets, r.limit)
	return a, nil
}

// A lookup collects the answers for one name.
type lookup struct {
	servers  *servers
	previous []Target

	mu      sync.Mutex
	ttl     uint32
	partial error
}

func (l *lookup) addTTL(ttl uint32) {
	l.mu.Lock()
	l.ttl = min(l.ttl, ttl)
	l.mu.Unlock()
}

// host returns the addresses of a host.
func (l *lookup) host(ctx context.Context, name string, port uint16) ([]Target, error) {
	addresses, err := l.addresses(ctx, name)
	if err != nil {
		return nil, err
	}
	targets := make([]Target, 0, len(addresses))
	for _, ip := range addresses {
		targets = append(targets, Target{Addr: netip.AddrPortFrom(ip, port), Host: name})
	}
	return targets, nil
}

// service returns the nodes of a service.
func (l *lookup) service(ctx context.Context, name string, _ uint16) ([]Target, error) {
	var ttl uint32 = math.MaxUint32
	m, records, err := l.records(ctx, name, dns.TypeSRV, &ttl)
	if err != nil {
		return nil, err
	}
	list := services(records)
	if len(list) == 0 {
		return nil, &lookupError{text: shown(name) + " has no SRV record with a host and a port", absent: true}
	}
	hosts := map[string]*hostAnswer{}
	var asked []string
	for _, s := range list {
		host := strings.ToLower(s.Target)
		if hosts[host] != nil {
			continue
		}
		if len(hosts) == maxHosts {
			break
		}
		h := &hostAnswer{addresses: additional(m, host, &ttl)}
		if hosts[host] = h; len(h.addresses) == 0 {
			asked = append(asked, host)
		}
	}
	l.addTTL(ttl)
	l.askAll(ctx, hosts, asked)
	var targets []Target
	for _, s := range list {
		h := hosts[strings.ToLower(s.Target)]
		if h == nil {
			continue // more hosts than are asked for
		}
		if h.err != nil {
			err = h.err
		}
		slices.SortFunc(h.addresses, netip.Addr.Compare)
		for _, ip := range h.addresses {
			if len(targets) == maxListed {
				break
			}
			targets = append(targets, Target{
				Addr: netip.AddrPortFrom(ip, s.Port), Host: strings.ToLower(s.Target), Priority: s.Priority, Weight: s.Weight,
			})
		}
	}
	if len(targets) == 0 {
		return nil, err
	}
	if err != nil {
		l.setPartial(err)
	}
	return targets, nil
}

const (
	maxHosts  = MaxTargets // hosts of a service that are looked up
	maxListed = 4096       // targets of a service, before duplicates and those beyond the limit are dropped
)

type hostAnswer struct {
	addresses []netip.Addr
	err       error
}

// askAll looks up hosts concurrently.
func (l *lookup) askAll(ctx context.Context, hosts map[string]*hostAnswer, asked []string) {
	places := make(chan struct{}, concurrent)
	var wg sync.WaitGroup
	for _, host := range asked {
		h := hosts[host]
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			h.addresses, h.err = l.addresses(ctx, host)
		})
	}
	wg.Wait()
}

// addresses returns the IPv4 and IPv6 addresses of a host. If only one of the two questions
// is answered, the earlier addresses of the other family stay. An error means that there is
// no address.
func (l *lookup) addresses(ctx context.Context, name string) ([]netip.Addr, error) {
	kinds := [2]uint16{dns.TypeA, dns.TypeAAAA}
	var found [2][]netip.Addr
	var errs [2]error
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { found[i], errs[i] = l.family(ctx, name, kind) })
	}
	wg.Wait()
	var list []netip.Addr
	var failure error
	for i := range kinds {
		if errs[i] != nil && !isAbsent(errs[i]) {
			failure = errs[i]
			for _, t := range l.previous {
				if strings.EqualFold(t.Host, name) && t.Addr.Addr().Is4() == (kinds[i] == dns.TypeA) {
					found[i] = append(found[i], t.Addr.Addr())
				}
			}
		}
		list = append(list, found[i]...)
	}
	switch {
	case failure != nil && (errs[0] == nil || errs[1] == nil):
		l.setPartial(failure)
	case failure != nil && len(list) > 0 && len(l.previous) > 0 && !l.isOnly(name):
		l.setPartial(failure)
	case failure != nil:
		return nil, failure
	case len(list) == 0 && errs[0] != nil:
		return nil, errs[0]
	}
	return list, nil
}

// isOnly reports whether all earlier targets are those of one host. If that host fails,
// nothing was answered.
func (l *lookup) isOnly(host string) bool {
	return !slices.ContainsFunc(l.previous, func(t Target) bool { return !strings.EqualFold(t.Host, host) })
}

func (l *lookup) setPartial(err error) {
	l.mu.Lock()
	l.partial = err
	l.mu.Unlock()
}

// family returns the addresses of one kind.
func (l *lookup) family(ctx context.Context, name string, kind uint16) ([]netip.Addr, error) {
	var ttl uint32 = math.MaxUint32
	_, records, err := l.records(ctx, name, kind, &ttl)
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, rr := range records {
		if ip, ok := address(rr); ok {
			list = append(list, ip)
		}
	}
	if len(list) == 0 {
		return nil, &lookupError{text: "no node can be at the addresses of " + shown(name), absent: true}
	}
	l.addTTL(ttl)
	return list, nil
}

// records asks for the records of a name, and follows its aliases. It returns the answer with
// the records.
func (l *lookup) records(ctx context.Context, name string, kind uint16, ttl *uint32) (*dns.Msg, []dns.RR, error) {
	hops := 0
	for at := name; ; {
		m, err := l.servers.ask(ctx, at, kind)
		if err != nil {
			return nil, nil, err
		}
		records, final := follow(m, at, kind, &hops, ttl)
		switch {
		case len(records) > 0:
			return m, records, nil
		case hops >= maxAliases:
			return nil, nil, failed("%s is an alias of an alias, more than %d in a row", shown(name), maxAliases)
		case m.Rcode == dns.RcodeNameError:
			return nil, nil, &lookupError{text: shown(final) + " does not exist (NXDOMAIN)", absent: true}
		case final == at:
			return nil, nil, &lookupError{text: shown(final) + " has no " + dns.TypeToString[kind] + " record", absent: true}
		}
		at = final // the answer ends with an alias
	}
}

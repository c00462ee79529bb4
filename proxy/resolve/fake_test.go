package resolve

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is a DNS server whose answers a test changes while it runs.
type zone struct {
	t       *testing.T
	address string

	mu      sync.Mutex
	records map[string][]dns.RR // by lower-case name; no entry: NXDOMAIN
	rcodes  map[string]int      // by name, or by name and type
	silent  bool
	noEDNS  bool
	extra   bool // SRV answers come with the addresses of their hosts
	limit   int  // answers over UDP with more records are truncated; 0: none are
	before  func(w dns.ResponseWriter, q *dns.Msg)
	asked   []string
}

// newZone starts a server on UDP and TCP at the same port of a loopback address.
func newZone(t *testing.T) *zone {
	t.Helper()
	z := &zone{t: t, records: map[string][]dns.RR{}, rcodes: map[string]int{}}
	var pc net.PacketConn
	var ln net.Listener
	for {
		var err error
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if pc, err = net.ListenPacket("udp", ln.Addr().String()); err == nil {
			break
		}
		ln.Close() // the port is taken on UDP
	}
	z.address = ln.Addr().String()
	for _, s := range []*dns.Server{{PacketConn: pc, Handler: z}, {Listener: ln, Handler: z}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go s.ActivateAndServe()
		<-started
		t.Cleanup(func() { s.Shutdown() })
	}
	return z
}

func (z *zone) set(name string, records ...string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name = dns.Fqdn(name)
	list := []dns.RR{}
	for _, text := range records {
		rr, err := dns.NewRR(name + " " + text)
		if err != nil {
			z.t.Fatal(err)
		}
		list = append(list, rr)
	}
	z.records[name] = list
}

func (z *zone) remove(name string) {
	z.mu.Lock()
	defer z.mu.Unlock()
	delete(z.records, dns.Fqdn(name))
}

func (z *zone) change(f func()) {
	z.mu.Lock()
	defer z.mu.Unlock()
	f()
}

func (z *zone) questions() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return append([]string(nil), z.asked...)
}

func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, kind := strings.ToLower(q.Question[0].Name), q.Question[0].Qtype
	z.asked = append(z.asked, dns.TypeToString[kind]+" "+name+" "+w.LocalAddr().Network())
	if z.before != nil {
		z.before(w, q)
	}
	if z.silent {
		return
	}
	m := new(dns.Msg)
	m.SetReply(q)
	switch rcode, bad := z.rcodes[name+dns.TypeToString[kind]]; {
	case z.noEDNS && q.IsEdns0() != nil:
		m.Rcode = dns.RcodeFormatError
	case bad:
		m.Rcode = rcode
	case z.rcodes[name] != 0:
		m.Rcode = z.rcodes[name]
	default:
		z.fill(m, name, kind)
	}
	if z.limit > 0 && len(m.Answer) > z.limit && w.LocalAddr().Network() == "udp" {
		m.Answer, m.Truncated = m.Answer[:z.limit], true
	}
	w.WriteMsg(m)
}

func (z *zone) fill(m *dns.Msg, name string, kind uint16) {
	records, ok := z.records[name]
	if !ok {
		m.Rcode = dns.RcodeNameError
		return
	}
	for _, rr := range records {
		if t := rr.Header().Rrtype; t == kind || t == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
		if s, ok := rr.(*dns.SRV); ok && z.extra {
			m.Extra = append(m.Extra, z.records[strings.ToLower(s.Target)]...)
		}
	}
}

// resolver returns a Resolver that asks only z, with the lines of a resolv.conf.
func (z *zone) resolver(conf ...string) *Resolver {
	z.change(func() {}) // the server sees what the test has set
	return newResolver(z.t, []string{z.address}, conf...)
}

func newResolver(t *testing.T, servers []string, conf ...string) *Resolver {
	t.Helper()
	path := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(path, []byte(strings.Join(conf, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return New(Config{Servers: servers, File: path})
}

func lookUp(t *testing.T, r *Resolver, address string, previous ...Target) (Answer, error) {
	t.Helper()
	n, err := Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	return r.Lookup(ctx, n, previous)
}

// text writes targets as "10.0.0.1:3310" or, with a priority or weight, "10.0.0.1:3310/1/5".
func text(list []Target) string {
	var b strings.Builder
	for i, t := range list {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(t.Addr.String())
		if t.Priority != 0 || t.Weight != 0 {
			b.WriteString("/" + itoa(t.Priority) + "/" + itoa(t.Weight))
		}
	}
	return b.String()
}

func target(host, addr string) Target {
	return Target{Addr: netip.MustParseAddrPort(addr), Host: dns.Fqdn(host)}
}

package e2e

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// zone is a name server whose answers a test changes while it runs. Its records hold for no
// time.
type zone struct {
	address string
	asked   atomic.Int64

	mu      sync.Mutex
	records []dns.RR
	rcode   int
	silent  bool
}

func startZone(t *testing.T) *zone {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{address: pc.LocalAddr().String()}
	server := &dns.Server{PacketConn: pc, Handler: z}
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	go server.ActivateAndServe()
	<-started
	t.Cleanup(func() { server.Shutdown() })
	return z
}

// set replaces the zone.
func (z *zone) set(t *testing.T, rcode int, silent bool, records ...string) {
	t.Helper()
	z.mu.Lock()
	defer z.mu.Unlock()
	z.records, z.rcode, z.silent = nil, rcode, silent
	for _, text := range records {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		z.records = append(z.records, rr)
	}
}

// ServeDNS answers as Consul does: with the addresses of all hosts of a service.
func (z *zone) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.asked.Add(1)
	if z.silent {
		return
	}
	m := new(dns.Msg)
	m.SetRcode(q, z.rcode)
	for _, rr := range z.records {
		switch h := rr.Header(); {
		case !strings.EqualFold(h.Name, q.Question[0].Name):
			if h.Rrtype == dns.TypeA {
				m.Extra = append(m.Extra, rr)
			}
		case h.Rrtype == q.Question[0].Qtype:
			m.Answer = append(m.Answer, rr)
		}
	}
	w.WriteMsg(m)
}

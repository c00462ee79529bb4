package resolve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func itoa(n uint16) string { return strconv.Itoa(int(n)) }

func TestHost(t *testing.T) {
	for name, tt := range map[string]struct {
		records map[string][]string
		want    string
		ttl     time.Duration
	}{
		"one": {map[string][]string{"clamd.example": {"30 A 10.0.0.1"}}, "10.0.0.1:3310", 30 * time.Second},
		"both families, any order": {map[string][]string{"clamd.example": {"9 AAAA 2001:db8::1", "30 A 10.0.0.2", "7 A 10.0.0.1"}},
			"10.0.0.1:3310 10.0.0.2:3310 [2001:db8::1]:3310", 7 * time.Second},
		"alias": {map[string][]string{"clamd.example": {"5 CNAME a.example."}, "a.example": {"30 CNAME b.example."}, "b.example": {"30 A 10.0.0.1"}},
			"10.0.0.1:3310", 5 * time.Second},
		"twice, and mapped": {map[string][]string{"clamd.example": {"30 A 10.0.0.1", "30 A 10.0.0.1", "30 AAAA ::ffff:10.0.0.1"}}, "10.0.0.1:3310", 30 * time.Second},
		"addresses without a node": {map[string][]string{"clamd.example": {"30 A 0.0.0.0", "30 A 10.0.0.1", "30 A 224.0.0.1", "30 A 255.255.255.255", "30 AAAA ::", "30 AAAA fe80::1", "30 AAAA ff02::1"}},
			"10.0.0.1:3310", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			for name, records := range tt.records {
				z.set(name, records...)
			}
			a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310")
			if got := text(a.Targets); err != nil || got != tt.want || a.TTL != tt.ttl || a.Partial != nil {
				t.Errorf("%q, ttl %v, partly %v, %v; want %q, ttl %v", got, a.TTL, a.Partial, err, tt.want, tt.ttl)
			}
		})
	}
}

// consul sets the records of a service as Consul answers: short TTL, a host of its own for
// each instance, any order.
func consul(z *zone, instances ...string) {
	var records []string
	for i, one := range instances {
		ip, rest, _ := strings.Cut(one, " ")
		host := fmt.Sprintf("%x.addr.dc1.consul", i+1)
		z.set(host, "0 A "+ip)
		records = append(records, "0 SRV "+rest+" "+host+".")
	}
	rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
	z.set("_clamd._tcp.service.consul", records...)
}

func TestService(t *testing.T) {
	for _, extra := range []bool{true, false} {
		z := newZone(t)
		z.extra = extra
		consul(z, "10.0.0.2 1 10 3311", "10.0.0.1 1 30 3310", "10.0.0.3 2 0 3310", "10.0.0.9 1 1 0")
		for range 5 {
			a, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.service.consul")
			if got, want := text(a.Targets), "10.0.0.1:3310/1/30 10.0.0.2:3311/1/10 10.0.0.3:3310/2/0"; err != nil || got != want || a.TTL != 0 {
				t.Fatalf("additional records %v: %q, ttl %v, %v; want %q", extra, got, a.TTL, err, want)
			}
		}
		if asked := strings.Join(z.questions(), "\n"); strings.Contains(asked, ".addr.") == extra {
			t.Errorf("additional records %v, asked:\n%s", extra, asked)
		}
	}
}

// TestServiceHosts: hosts that cannot be used, or have names that must not be trusted.
func TestServiceHosts(t *testing.T) {
	z := newZone(t)
	z.set("a.example", "30 A 10.0.0.1")
	z.set("_clamd._tcp.example", "30 SRV 0 0 3310 a.example.", "30 SRV 0 0 3310 .", "30 SRV 0 0 3310 "+strings.Repeat(strings.Repeat("x", 60)+".", 4),
		`30 SRV 0 0 3310 a\010b\"\;\000.example.`, "30 SRV 0 0 3310 10.0.0.7.", "30 SRV 0 0 3310 _clamd._tcp.example.")
	a, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.example.")
	if got := text(a.Targets); err != nil || got != "10.0.0.1:3310" || a.Partial == nil || strings.ContainsAny(a.Partial.Error(), "\n\x00") {
		t.Errorf("%q, %v, partly %v", got, err, a.Partial)
	}
	z.set("_clamd._tcp.example", "30 SRV 0 0 0 .")
	if _, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.example."); err == nil || !strings.Contains(err.Error(), "_clamd._tcp.example has no SRV record with a host and a port") {
		t.Error(err)
	}
}

func TestFailures(t *testing.T) {
	for name, tt := range map[string]struct {
		set  func(z *zone)
		conf string
		want string
	}{
		"nxdomain":   {func(z *zone) {}, "", "clamd.example does not exist (NXDOMAIN)"},
		"no records": {func(z *zone) { z.set("clamd.example") }, "", "clamd.example has no A record"},
		"servfail":   {func(z *zone) { z.rcodes["clamd.example."] = dns.RcodeServerFailure }, "", "the name server ADDRESS does not answer for clamd.example (SERVFAIL)"},
		"refused":    {func(z *zone) { z.rcodes["clamd.example."] = dns.RcodeRefused }, "", "the name server ADDRESS does not answer for clamd.example (REFUSED)"},
		"silent":     {func(z *zone) { z.silent = true }, "options timeout:1 attempts:1", "no answer from the name server ADDRESS within 1s"},
		"loop":       {func(z *zone) { z.set("clamd.example", "30 CNAME clamd.example.") }, "", "clamd.example is an alias of an alias, more than 8 in a row"},
		"chain": {func(z *zone) {
			z.set("clamd.example", "30 CNAME a0.example.")
			for i := range 20 {
				z.set(fmt.Sprintf("a%d.example", i), fmt.Sprintf("30 CNAME a%d.example.", i+1))
			}
			z.set("a20.example", "30 A 10.0.0.1")
		}, "", "is an alias of an alias, more than 8 in a row"},
		"nowhere": {func(z *zone) { z.set("clamd.example", "30 A 0.0.0.0") }, "", "no node can be at the addresses of clamd.example"},
	} {
		t.Run(name, func(t *testing.T) {
			z := newZone(t)
			tt.set(z)
			a, err := lookUp(t, z.resolver(tt.conf), "dns:clamd.example.:3310", target("clamd.example", "10.0.0.1:3310"))
			if want := strings.ReplaceAll(tt.want, "ADDRESS", z.address); err == nil || !strings.Contains(err.Error(), want) || a.Targets != nil {
				t.Errorf("%v, %v; want %q", text(a.Targets), err, want)
			}
			var e *lookupError
			if !errors.As(err, &e) {
				t.Errorf("%T", err)
			}
		})
	}
}

// TestRetries: a name server that is silent, one that refuses, and one that answers.
func TestRetries(t *testing.T) {
	silent, bad, good := newZone(t), newZone(t), newZone(t)
	silent.change(func() { silent.silent = true })
	bad.change(func() { bad.rcodes["clamd.example."] = dns.RcodeServerFailure })
	good.set("clamd.example", "30 A 10.0.0.1")
	closed, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.LocalAddr().String()
	closed.Close()
	r := newResolver(t, []string{nobody, bad.address, silent.address, good.address}, "options timeout:1 attempts:1")
	if a, err := lookUp(t, r, "dns:clamd.example.:3310"); err != nil || text(a.Targets) != "10.0.0.1:3310" || len(silent.questions()) == 0 {
		t.Errorf("%q, %v", text(a.Targets), err)
	}
	// A lost question is asked again.
	lost := true
	good.change(func() { good.before = func(dns.ResponseWriter, *dns.Msg) { good.silent, lost = lost, false } })
	if a, err := lookUp(t, newResolver(t, []string{good.address}, "options timeout:1 attempts:2"), "dns:clamd.example.:3310"); err != nil || text(a.Targets) != "10.0.0.1:3310" {
		t.Errorf("%q, %v", text(a.Targets), err)
	}
}

func TestTruncated(t *testing.T) {
	z := newZone(t)
	var records []string
	for i := range 40 {
		records = append(records, fmt.Sprintf("30 A 10.0.0.%d", i+1))
	}
	z.set("clamd.example", records...)
	z.limit = 3
	a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310")
	if err != nil || len(a.Targets) != 40 || a.Dropped != 0 {
		t.Errorf("%d, %d dropped, %v", len(a.Targets), a.Dropped, err)
	}
	if asked := z.questions(); !slices.Contains(asked, "A clamd.example. tcp") || slices.Contains(asked, "AAAA clamd.example. tcp") {
		t.Error(asked)
	}
}

// TestLimit: the same targets are kept whatever the order of the answer, those of the lowest
// priority first.
func TestLimit(t *testing.T) {
	z := newZone(t)
	var records []string
	for i := range 100 {
		records = append(records, fmt.Sprintf("30 A 10.0.0.%d", i+1))
	}
	want := ""
	for range 3 {
		rand.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		z.set("clamd.example", records...)
		a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310")
		got := text(a.Targets)
		if err != nil || len(a.Targets) != MaxTargets || a.Dropped != 36 || want != "" && got != want || !strings.HasPrefix(got, "10.0.0.1:3310 10.0.0.2:3310 ") {
			t.Fatalf("%d, %d dropped, %v: %q", len(a.Targets), a.Dropped, err, got)
		}
		want = got
	}
}

func TestOldServer(t *testing.T) {
	z := newZone(t)
	z.noEDNS = true
	z.set("clamd.example", "30 A 10.0.0.1")
	if a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310"); err != nil || text(a.Targets) != "10.0.0.1:3310" {
		t.Errorf("%q, %v", text(a.Targets), err)
	}
}

// TestForged: whatever does not answer the question is ignored, and does not end the wait.
func TestForged(t *testing.T) {
	reply := func(w dns.ResponseWriter, q *dns.Msg, change func(m *dns.Msg)) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 9}, A: net.IPv4(6, 6, 6, 6)}}
		change(m)
		w.WriteMsg(m)
	}
	z := newZone(t)
	z.set("clamd.example", "30 A 10.0.0.1")
	z.before = func(w dns.ResponseWriter, q *dns.Msg) {
		reply(w, q, func(m *dns.Msg) { m.Id++ })
		reply(w, q, func(m *dns.Msg) { m.Response = false })
		reply(w, q, func(m *dns.Msg) { m.Question[0].Name = "other.example." })
		reply(w, q, func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeMX })
		reply(w, q, func(m *dns.Msg) { m.Question = nil })
		w.Write([]byte("garbage that is no message, but long enough for a header"))
		w.Write([]byte{1})
	}
	if a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310"); err != nil || text(a.Targets) != "10.0.0.1:3310" {
		t.Errorf("%q, %v", text(a.Targets), err)
	}
	// In the answer itself, records of other names do not count.
	forged := func(w dns.ResponseWriter, q *dns.Msg) {
		z.silent = true
		reply(w, q, func(m *dns.Msg) {
			m.Answer[0].Header().Name = "other.example."
			other := *m.Answer[0].(*dns.A)
			other.Hdr.Class, other.Hdr.Name = dns.ClassCHAOS, q.Question[0].Name
			m.Answer = append(m.Answer, &other)
		})
	}
	z.change(func() { z.before = forged })
	if a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310"); err == nil || !strings.Contains(err.Error(), "has no A record") {
		t.Errorf("%q, %v", text(a.Targets), err)
	}
}

// TestPartial: what was not answered keeps its earlier targets.
func TestPartial(t *testing.T) {
	z := newZone(t)
	before := []Target{target("clamd.example", "10.0.0.1:3310"), target("clamd.example", "[2001:db8::1]:3310")}
	z.set("clamd.example", "30 A 10.0.0.2")
	z.rcodes["clamd.example.AAAA"] = dns.RcodeServerFailure
	a, err := lookUp(t, z.resolver(), "dns:clamd.example.:3310", before...)
	if got := text(a.Targets); err != nil || got != "10.0.0.2:3310 [2001:db8::1]:3310" || a.Partial == nil {
		t.Errorf("one family: %q, %v, partly %v", got, err, a.Partial)
	}
	consul(z, "10.0.0.1 1 1 3310", "10.0.0.2 1 1 3310")
	first, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.service.consul")
	if err != nil {
		t.Fatal(err)
	}
	z.set("1.addr.dc1.consul", "0 A 10.0.0.7")
	z.rcodes["2.addr.dc1.consul."] = dns.RcodeServerFailure
	a, err = lookUp(t, z.resolver(), "srv:_clamd._tcp.service.consul", first.Targets...)
	if got := text(a.Targets); err != nil || got != "10.0.0.2:3310/1/1 10.0.0.7:3310/1/1" || a.Partial == nil {
		t.Errorf("one host: %q, %v, partly %v", got, err, a.Partial)
	}
	z.change(func() { z.rcodes["1.addr.dc1.consul."] = dns.RcodeServerFailure })
	if _, err = lookUp(t, z.resolver(), "srv:_clamd._tcp.service.consul"); err == nil {
		t.Error("no host is known, and no error")
	}
}

func TestSearchList(t *testing.T) {
	z := newZone(t)
	z.set("clamd.scan.svc.cluster.local", "30 A 10.0.0.1")
	z.set("clamd.scan.svc", "30 A 6.6.6.6")
	z.set("clamd.example", "30 A 10.0.0.2")
	conf := "search scan.svc.cluster.local svc.cluster.local cluster.local .\noptions ndots:5"
	for address, want := range map[string]string{
		"dns:clamd.scan.svc:3310":  "10.0.0.1:3310",
		"dns:clamd:3310":           "10.0.0.1:3310",
		"dns:clamd.scan.svc.:3310": "6.6.6.6:3310",
		"dns:Clamd.Example:3310":   "10.0.0.2:3310", // as it is, after the search list
	} {
		if a, err := lookUp(t, z.resolver(conf), address); err != nil || text(a.Targets) != want {
			t.Errorf("%s: %q, %v; want %s", address, text(a.Targets), err, want)
		}
	}
	// The next candidate may be another host: a failure does not lead to it.
	z.change(func() { z.rcodes["clamd.scan.svc.cluster.local."] = dns.RcodeServerFailure })
	if a, err := lookUp(t, z.resolver(conf), "dns:clamd.scan.svc:3310"); err == nil {
		t.Errorf("after a failure: %q", text(a.Targets))
	}
}

func TestCanceled(t *testing.T) {
	z := newZone(t)
	ctx, cancel := context.WithCancel(t.Context())
	z.before = func(dns.ResponseWriter, *dns.Msg) { z.silent = true; cancel() }
	n, _ := Parse("dns:clamd.example.:3310")
	if _, err := z.resolver().Lookup(ctx, n, nil); err == nil {
		t.Error("no error")
	}
}

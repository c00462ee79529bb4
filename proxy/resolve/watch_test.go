package resolve

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestWatch: answers and failures in turn, and how long the pauses are.
func TestWatch(t *testing.T) {
	z := newZone(t)
	r := z.resolver()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var pauses []time.Duration
	steps := []func(){
		func() { z.set("clamd.example", "5 A 10.0.0.2") },
		func() { z.set("clamd.example", "0 A 10.0.0.3") },
		func() { z.remove("clamd.example") },
		func() {}, func() {}, func() {}, func() {},
		func() { z.set("clamd.example", "3600 A 10.0.0.4") },
		func() { z.remove("clamd.example") },
		cancel,
	}
	r.pause = func(_ context.Context, d time.Duration) {
		pauses = append(pauses, d)
		steps[0]()
		steps = steps[1:]
	}
	z.set("clamd.example", "20 A 10.0.0.1")
	n, _ := Parse("dns:clamd.example.:3310")
	var got []string
	var next []time.Duration
	r.Watch(ctx, n, nil, func(a Answer, err error) {
		next = append(next, a.Next)
		if err != nil {
			got = append(got, "failed")
			return
		}
		got = append(got, text(a.Targets))
	})
	want := []string{"10.0.0.1:3310", "10.0.0.2:3310", "10.0.0.3:3310", "failed", "failed", "failed", "failed", "failed", "10.0.0.4:3310", "failed"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if !slices.Equal(next, pauses) {
		t.Errorf("the next lookups are reported after %v, want %v", next, pauses)
	}
	for i, want := range []time.Duration{10, 5, 1, 1, 2, 4, 8, 10, 10, 1} {
		most := want * time.Second
		if least := max(time.Second, most-most/10); i >= len(pauses) || pauses[i] < least || pauses[i] > most {
			t.Errorf("pause %d: %v, want %v or a little less", i, pauses, most)
		}
	}
}

func TestResolvConf(t *testing.T) {
	a, b := newZone(t), newZone(t)
	a.set("x.a.example", "30 A 10.0.0.1")
	a.set("x.b.example", "30 A 10.0.0.2")
	r := newResolver(t, []string{a.address}, "search a.example")
	if got, err := lookUp(t, r, "dns:x:1"); err != nil || text(got.Targets) != "10.0.0.1:1" {
		t.Errorf("%q, %v", text(got.Targets), err)
	}
	if err := os.WriteFile(r.servers.path+".new", []byte("# changed\nsearch b.example"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(r.servers.path+".new", r.servers.path); err != nil {
		t.Fatal(err)
	}
	if got, err := lookUp(t, r, "dns:x:1"); err != nil || text(got.Targets) != "10.0.0.2:1" {
		t.Errorf("changed: %q, %v", text(got.Targets), err)
	}
	if len(b.questions()) > 0 {
		t.Error("another server was asked")
	}
}

func TestParseConf(t *testing.T) {
	s := parseConf([]byte("nameserver 10.0.0.1\nnameserver fe80::1%eth0\nnameserver evil.example\noptions timeout:99 attempts:99 ndots:2\n"))
	if !slices.Equal(s.addresses, []string{"10.0.0.1:53", "[fe80::1%eth0]:53"}) || s.timeout != maxTimeout || s.attempts != maxAttempts || s.conf.Ndots != 2 {
		t.Errorf("%+v", s)
	}
	if s := parseConf(nil); !slices.Equal(s.addresses, []string{"127.0.0.1:53"}) {
		t.Errorf("empty: %+v", s)
	}
}

func FuzzParseConf(f *testing.F) {
	f.Add("search a b\nnameserver 1.2.3.4\noptions ndots:3 timeout:0 attempts:-1", "x.y")
	f.Fuzz(func(t *testing.T, conf, name string) {
		s := parseConf([]byte(conf))
		if len(s.addresses) == 0 || len(s.addresses) > maxServers || s.timeout <= 0 || s.attempts < 1 {
			t.Errorf("%+v", s)
		}
		if list := s.candidates(name); len(list) > maxSearch {
			t.Error(len(list))
		}
	})
}

// FuzzAnswer: whatever a name server answers, the bounds hold, and every target belongs to the
// question.
func FuzzAnswer(f *testing.F) {
	for _, records := range [][]string{
		{"x. 5 CNAME y.", "y. 5 A 10.0.0.1"}, {"x. 5 CNAME x."}, {"x. 5 SRV 1 2 3 y.", "y. 5 AAAA ::1"}, {"x. 5 A 0.0.0.0"},
	} {
		m := new(dns.Msg)
		m.SetQuestion("x.", dns.TypeA)
		for _, text := range records {
			rr, err := dns.NewRR(text)
			if err != nil {
				f.Fatal(err)
			}
			m.Answer, m.Extra = append(m.Answer, rr), append(m.Extra, rr)
		}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m := new(dns.Msg)
		if m.Unpack(data) != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV} {
			hops, ttl := 0, ^uint32(0)
			records, final := follow(m, "x.", kind, &hops, &ttl)
			if hops > maxAliases {
				t.Fatal(hops)
			}
			var list []Target
			for _, rr := range records {
				if rr.Header().Rrtype != kind || !dns.IsSubDomain(final, rr.Header().Name) {
					t.Fatalf("%v is not of %s", rr, final)
				}
				if ip, ok := address(rr); ok {
					list = append(list, Target{Addr: addrPort(ip, 1)})
				}
			}
			for _, s := range services(records) {
				for _, ip := range additional(m, s.Target, &ttl) {
					list = append(list, Target{Addr: addrPort(ip, s.Port), Priority: s.Priority})
				}
			}
			kept, _ := bounded(list, 5)
			if len(kept) > 5 {
				t.Fatal(len(kept))
			}
			for _, k := range kept {
				if ip := k.Addr.Addr(); !ip.IsValid() || ip.Is4In6() || ip.IsUnspecified() || k.Addr.Port() == 0 {
					t.Fatal(k)
				}
			}
		}
	})
}

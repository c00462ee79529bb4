package resolve

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// TestAdditionalTTL checks that an answer holds no longer than the addresses that came with it.
func TestAdditionalTTL(t *testing.T) {
	z := newZone(t)
	z.extra = true
	z.set("_clamd._tcp.example", "300 SRV 0 0 3310 a.example.")
	z.set("a.example", "7 A 10.0.0.1")
	a, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.example.")
	if err != nil || text(a.Targets) != "10.0.0.1:3310" || a.TTL != 7*time.Second {
		t.Errorf("%q, ttl %v, %v", text(a.Targets), a.TTL, err)
	}
}

// TestLimitByPriority checks that a limit leaves out the targets that are asked last.
func TestLimitByPriority(t *testing.T) {
	z := newZone(t)
	z.extra = true
	records := []string{"30 SRV 1 0 3310 last.example."}
	z.set("last.example", "30 A 10.9.9.9")
	for i := range 10 {
		host := fmt.Sprintf("h%d.example", i)
		records = append(records, "30 SRV 2 0 3310 "+host+".")
		z.set(host, fmt.Sprintf("30 A 10.0.0.%d", i+1))
	}
	z.set("_clamd._tcp.example", records...)
	r := z.resolver()
	r.limit = 3
	a, err := lookUp(t, r, "srv:_clamd._tcp.example.")
	if got := text(a.Targets); err != nil || !strings.HasPrefix(got, "10.9.9.9:3310/1/0 ") || len(a.Targets) != 3 || a.Dropped == 0 {
		t.Errorf("%q, %d dropped, %v", got, a.Dropped, err)
	}
}

// TestNoHost checks that nothing is asked about a service that says it has no host.
func TestNoHost(t *testing.T) {
	z := newZone(t)
	z.set("a.example", "30 A 10.0.0.1")
	z.set("_clamd._tcp.example", "30 SRV 0 0 3310 a.example.", "30 SRV 0 0 3310 .")
	a, err := lookUp(t, z.resolver(), "srv:_clamd._tcp.example.")
	if err != nil || text(a.Targets) != "10.0.0.1:3310" || a.Partial != nil {
		t.Errorf("%q, %v, partly %v", text(a.Targets), err, a.Partial)
	}
}

// TestWatchKeepsTargets checks that a failure does not lose the last good answer: a partial one
// after it is completed from there.
func TestWatchKeepsTargets(t *testing.T) {
	z := newZone(t)
	r := z.resolver()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	z.set("clamd.example", "30 A 10.0.0.1", "30 AAAA 2001:db8::1")
	steps := []func(){
		func() { z.rcodes["clamd.example."] = dns.RcodeServerFailure },
		func() {
			delete(z.rcodes, "clamd.example.")
			z.rcodes["clamd.example.AAAA"] = dns.RcodeServerFailure
		},
		cancel,
	}
	r.pause = func(context.Context, time.Duration) {
		z.change(steps[0])
		steps = steps[1:]
	}
	n, err := Parse("dns:clamd.example.:3310")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	r.Watch(ctx, n, nil, func(a Answer, err error) {
		got = append(got, fmt.Sprint(text(a.Targets), err != nil, a.Partial != nil))
	})
	both := "10.0.0.1:3310 [2001:db8::1]:3310"
	if want := []string{fmt.Sprint(both, false, false), fmt.Sprint("", true, false), fmt.Sprint(both, false, true)}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

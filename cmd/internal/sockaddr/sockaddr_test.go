package sockaddr

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// names is a resolver with fixed answers.
type names map[string][]string

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	list, ok := n[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if host == "broken" {
		return nil, errors.New("read /etc/hosts: input/output error")
	}
	if host == "slow" {
		return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
	}
	var ips []netip.Addr
	for _, s := range list {
		ips = append(ips, netip.MustParseAddr(s))
	}
	return ips, nil
}

var resolver = names{
	"localhost": {"127.0.0.1", "::1"},
	"twice":     {"127.0.0.1", "::ffff:127.0.0.1", "127.0.1.1", "127.0.0.1"},
	"nothing":   {}, "broken": {}, "slow": {},
}

func TestResolve(t *testing.T) {
	for _, test := range []struct {
		address string
		want    []string // or the error
	}{
		{"unix:/run//polyclam/./s", []string{"unix:/run/polyclam/s"}},
		{"tcp:127.0.0.1:3310", []string{"tcp:127.0.0.1:3310"}},
		{"tcp:127.0.0.1:03310", []string{"tcp:127.0.0.1:3310"}},
		{"tcp:0.0.0.0:3310", []string{"tcp:0.0.0.0:3310"}},
		{"tcp:[::]:3310", []string{"tcp:[::]:3310"}},
		{"tcp:[0:0::0:1]:3310", []string{"tcp:[::1]:3310"}},
		{"tcp:[fe80::1%lo]:3310", []string{"tcp:[fe80::1%lo]:3310"}},
		{"tcp:[::ffff:127.0.0.1]:3310", []string{"tcp:127.0.0.1:3310"}},
		{"tcp:localhost:3310", []string{"tcp:127.0.0.1:3310", "tcp:[::1]:3310"}},
		{"tcp:twice:3310", []string{"tcp:127.0.0.1:3310", "tcp:127.0.1.1:3310"}},
		{"tcp:nowhere:3310", []string{`the name "nowhere" does not exist; correct it, write an address`}},
		{"tcp:nothing:3310", []string{`the name "nothing" has no address; write`}},
		{"tcp:broken:3310", []string{`cannot be looked up: read /etc/hosts`}},
		{"tcp:slow:3310", []string{`the name server did not answer for "slow"`}},
		{"tcp:*:3310", []string{"0.0.0.0 for every IPv4 address"}},
		{"tcp::3310", []string{"[::] for every IPv6 address"}},
		{"tcp:localhost:clamd", []string{`port "clamd" is not a number`}},
	} {
		list, err := Resolve(context.Background(), resolver, test.address)
		if err != nil {
			if !strings.Contains(err.Error(), test.want[0]) {
				t.Errorf("%s: %v, want %q", test.address, err, test.want)
			}
			continue
		}
		var got []string
		for _, a := range list {
			got = append(got, a.String())
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.address, got, test.want)
		}
	}
}

func parse(t *testing.T, address string) Addr {
	t.Helper()
	a, _, err := Parse(address)
	if err != nil || a == (Addr{}) {
		t.Fatalf("Parse(%q) = %v, %v", address, a, err)
	}
	return a
}

func TestOverlaps(t *testing.T) {
	for _, test := range []struct {
		a, b       string
		only, dual bool
	}{
		{"unix:/run/a", "unix:/run/./a", true, true},
		{"unix:/run/a", "unix:/run/b", false, false},
		{"unix:/run/a", "tcp:0.0.0.0:1", false, false},
		{"tcp:127.0.0.1:1", "tcp:127.0.0.1:1", true, true},
		{"tcp:127.0.0.1:1", "tcp:127.0.0.1:2", false, false},
		{"tcp:127.0.0.1:1", "tcp:127.0.0.2:1", false, false},
		{"tcp:0.0.0.0:1", "tcp:127.0.0.1:1", true, true},
		{"tcp:0.0.0.0:1", "tcp:127.0.0.1:2", false, false},
		{"tcp:0.0.0.0:1", "tcp:[::1]:1", false, false},
		{"tcp:0.0.0.0:1", "tcp:[::]:1", false, true},
		{"tcp:[::]:1", "tcp:[::1]:1", true, true},
		{"tcp:[::]:1", "tcp:127.0.0.1:1", false, true},
		{"tcp:127.0.0.1:1", "tcp:[::1]:1", false, false},
	} {
		a, b := parse(t, test.a), parse(t, test.b)
		for isDual, want := range map[bool]bool{false: test.only, true: test.dual} {
			if a.Overlaps(b, isDual) != want || b.Overlaps(a, isDual) != want {
				t.Errorf("%s and %s, isDual %v: want %v", a, b, isDual, want)
			}
		}
	}
}

func TestOf(t *testing.T) {
	for _, test := range []struct {
		addr net.Addr
		want string
	}{
		{&net.UnixAddr{Name: "/run/a"}, "unix:/run/a"},
		{&net.UnixAddr{Name: "@a"}, ""},
		{&net.TCPAddr{IP: net.IPv4zero, Port: 1}, "tcp:0.0.0.0:1"},
		{&net.TCPAddr{IP: net.IPv6zero, Port: 1}, "tcp:[::]:1"},
		{&net.TCPAddr{IP: net.ParseIP("127.0.0.1"), Port: 1}, "tcp:127.0.0.1:1"},
		{&net.UDPAddr{}, ""},
	} {
		got, ok := Of(test.addr)
		if ok != (test.want != "") || ok && got.String() != test.want {
			t.Errorf("Of(%v) = %v, %v, want %q", test.addr, got, ok, test.want)
		}
	}
}

func TestDialTarget(t *testing.T) {
	for address, want := range map[string]string{
		"tcp:0.0.0.0:3310": "127.0.0.1:3310", "tcp:[::]:3310": "[::1]:3310",
		"tcp:192.0.2.1:3310": "192.0.2.1:3310", "unix:/run/a": "/run/a",
	} {
		if _, got := parse(t, address).DialTarget(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestConflict(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"unix:/a", "unix:/./a", true},
		{"tcp:0.0.0.0:1", "tcp:127.0.0.1:1", true},
		{"tcp:[::]:1", "tcp:127.0.0.1:1", false}, // the system decides
		{"tcp:Mail:1", "tcp:mail:1", true},
		{"tcp:mail:1", "tcp:mail:2", false},
		{"tcp:mail:1", "tcp:127.0.0.1:1", false},
		{"tcp:*:1", "tcp:*:1", false},
		{"", "", false},
	} {
		if Conflict(test.a, test.b) != test.want || Conflict(test.b, test.a) != test.want {
			t.Errorf("Conflict(%q, %q) != %v", test.a, test.b, test.want)
		}
	}
}

package client

import (
	"context"
	"net/netip"
	"testing"
)

func TestHost(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"::1", "127.0.0.1", false},
	} {
		a, b := Host(netip.MustParseAddr(test.a)), Host(netip.MustParseAddr(test.b))
		if (a == b) != test.same {
			t.Errorf("%s and %s: keys %v and %v, want the same: %v", test.a, test.b, a, b, test.same)
		}
	}
}

func TestString(t *testing.T) {
	for _, test := range []struct {
		key  Key
		want string
	}{
		{User(33), "uid 33"},
		{User(0), "uid 0"},
		{Host(netip.MustParseAddr("192.0.2.1")), "192.0.2.1"},
		{Host(netip.MustParseAddr("2001:db8::1")), "2001:db8::/64"},
		{Host(netip.Addr{}), "polyclamd"},
		{Key{}, "polyclamd"},
	} {
		if got := test.key.String(); got != test.want {
			t.Errorf("%#v: %q, want %q", test.key, got, test.want)
		}
	}
}

func TestContext(t *testing.T) {
	if k := FromContext(context.Background()); !k.IsZero() {
		t.Errorf("a context without a client has %v", k)
	}
	ctx, cancel := context.WithCancel(NewContext(context.Background(), User(7)))
	defer cancel()
	if k := FromContext(ctx); k != User(7) {
		t.Errorf("got %v, want uid 7", k)
	}
}

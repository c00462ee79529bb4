package config

import (
	"net/netip"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"polyclam/proxy"
	"polyclam/proxy/rates"
)

// TestListenerAccess checks what the keys become for the server, and their defaults.
func TestListenerAccess(t *testing.T) {
	self, err := user.Current()
	if err != nil {
		t.Skip(err)
	}
	text := `
[[listener]]
address = "unix:/run/x"
[[listener]]
address = "tcp:127.0.0.1:3310"
[[listener]]
address = "unix:/run/y"
allow = ["uid:` + self.Username + `", "gid:4242"]
version_command = false
stats_command = false
status_command = "off"
scans_per_second = 0.5
[[listener]]
address = "tcp:127.0.0.1:3311"
allow = ["10.0.0.0/8", "2001:db8::1"]
status_command = "full"
scans_per_second = 10
burst = 50
[[engine]]
name = "inspect"
backend = "inspect"
`
	f, err := Parse("x", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c, err := f.Build(nil, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range c.Engines {
		defer e.Close()
	}
	for i, want := range []struct {
		noVersion, noStats bool
		status             proxy.StatusDetail
		rate               rates.Rate
		everyone           bool
	}{
		{false, false, proxy.StatusFull, rates.Rate{Burst: 1}, true},
		{false, false, proxy.StatusBrief, rates.Rate{Burst: 1}, true},
		{true, true, proxy.StatusOff, rates.Rate{PerSecond: 0.5, Burst: 1}, false},
		{false, false, proxy.StatusFull, rates.Rate{PerSecond: 10, Burst: 50}, false},
	} {
		l := &c.Listeners[i]
		if l.NoVersionCommand != want.noVersion || l.NoStatsCommand != want.noStats || l.Status != want.status || l.Rate != want.rate || l.Allow.Everyone() != want.everyone {
			t.Errorf("listener %d: %+v, want %+v", i, l, want)
		}
	}
	none := func() []uint32 { return nil }
	uid, err := strconv.ParseUint(self.Uid, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Listeners[2].Allow; !l.Process(uint32(uid), 1, none) || !l.Process(77, 4242, none) || l.Process(77, 1, none) {
		t.Errorf("users and groups: %+v", l)
	}
	if l := c.Listeners[3].Allow; !l.Address(netip.MustParseAddr("10.9.9.9")) || l.Address(netip.MustParseAddr("11.9.9.9")) {
		t.Errorf("prefixes: %+v", l)
	}
}

// TestBurstWithoutRate checks that a burst without a rate is reported.
func TestBurstWithoutRate(t *testing.T) {
	f, err := Parse("x", []byte("[[listener]]\naddress = \"unix:/run/x\"\nburst = 5\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if text := f.Warnings.Error(); !strings.Contains(text, "x:3: listener.burst: there is no limit on scans") {
		t.Errorf("warnings:\n%s", text)
	}
}

// TestAllowFollowsUsers checks that names are looked up again when a file is loaded again.
func TestAllowFollowsUsers(t *testing.T) {
	if _, err := user.Lookup("polyclam-test-user"); err == nil {
		t.Skip("the user exists")
	}
	name := t.TempDir() + "/c"
	write := func(who string) error {
		os.WriteFile(name, []byte("[[listener]]\naddress = \"unix:/run/x\"\nallow = [\"uid:"+who+"\"]\n[[engine]]\nname = \"inspect\"\nbackend = \"inspect\"\n"), 0o600)
		_, err := Load(name)
		return err
	}
	if err := write("0"); err != nil {
		t.Error(err)
	}
	if err := write("polyclam-test-user"); err == nil || !strings.Contains(err.Error(), "there is no user") {
		t.Errorf("got %v", err)
	}
}

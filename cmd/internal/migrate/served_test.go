package migrate

import (
	"strings"
	"testing"
)

// TestServed chooses the profile for clients that share an address.
func TestServed(t *testing.T) {
	all := map[string]client{}
	for _, k := range append(clientKinds, defangKind, cicapKind, clamonaccKind) {
		all[k.name] = client{name: k.name, profile: k.profile, bearsClose: k.bearsClose || k.name == "amavis", change: k.change}
	}
	for _, c := range []struct {
		users, client, own string
		close              bool
	}{
		{"", "", "", false},
		{"rspamd", "rspamd", "", false},
		{"amavis", "amavis", "", false},
		{"clamsmtp c-icap", "generic", "", false},
		{"amavis Exim", "generic", "", false},
		{"amavis MIMEDefang", "mimedefang", "", false},
		{"MIMEDefang clamonacc", "mimedefang", "", false},
		{"rspamd amavis", "generic", "rspamd", true},
		{"rspamd MIMEDefang", "mimedefang", "rspamd", true},
		{"rspamd clamonacc", "generic", "rspamd", true},
		{"rspamd ProFTPD", "generic", "rspamd", false}, // mod_clamav takes a closed connection for clean
		{"rspamd squidclamav", "generic", "rspamd squidclamav", false},
		{"squidclamav", "http-gateway", "", false},
		{"squidclamav Exim", "generic", "squidclamav", false},
		{"Haraka Exim", "generic", "Haraka", false},
	} {
		m := &Machine{}
		for name := range strings.FieldsSeq(c.users) {
			m.users = append(m.users, all[name])
		}
		s := m.served(0)
		var own []string
		for _, o := range s.own {
			own = append(own, o.name)
			if o.change == "" {
				t.Errorf("%s: no line for an address of its own", o.name)
			}
		}
		if s.client != c.client || strings.Join(own, " ") != c.own || s.close != c.close {
			t.Errorf("%s: got %q, own %q, close %t; want %q, %q, %t", c.users, s.client, own, s.close, c.client, c.own, c.close)
		}
		if other := m.served(1); other.client != "" {
			t.Errorf("%s: another listener has %q", c.users, other.client)
		}
	}
}

// TestLeadsTo compares addresses of clients with listeners.
func TestLeadsTo(t *testing.T) {
	dir := tree(t, "", "var/run", "->/run", "run/clamav/", "", "srv/jail/run", "->/run")
	m := &Machine{root: root{dir}}
	for _, c := range []struct {
		address, listener string
		want              bool
	}{
		{"unix:/var/run/clamav/c.ctl", "unix:/run/clamav/c.ctl", true},
		{"unix:/srv/jail/run/clamav/c.ctl", "unix:/run/clamav/c.ctl", true},
		{"unix:/run/clamav/../clamav/c.ctl", "unix:/run/clamav/c.ctl", true},
		{"unix:/run/clamav/d.ctl", "unix:/run/clamav/c.ctl", false},
		{"unix:/run/clamav/c.ctl", "tcp:0.0.0.0:3310", false},
		{"tcp:127.0.0.1:3310", "unix:/run/clamav/c.ctl", false},
		{"tcp:localhost:3310", "tcp:127.0.0.1:3310", true},
		{"tcp:localhost:3310", "tcp:[::1]:3310", true},
		{"tcp:127.0.0.1:3310", "tcp:0.0.0.0:3310", true},
		{"tcp:127.0.0.1:3310", "tcp:[::]:3310", true},
		{"tcp:127.0.0.1:3311", "tcp:[::]:3310", false},
		{"tcp:127.0.0.1:3310", "tcp:192.0.2.1:3310", false},
		{"tcp:192.0.2.1:3310", "tcp:192.0.2.1:3310", true},
		{"tcp:192.0.2.1:3310", "tcp:0.0.0.0:3310", false}, // another machine's, for all that is known
		{"tcp:mail.example:3310", "tcp:0.0.0.0:3310", false},
	} {
		if got := m.leadsTo(c.address, c.listener); got != c.want {
			t.Errorf("%s leads to %s: %t", c.address, c.listener, got)
		}
	}
}

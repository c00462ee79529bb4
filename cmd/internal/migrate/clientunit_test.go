package migrate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestClientUnits has clients whose configuration names clamd, with and without units.
func TestClientUnits(t *testing.T) {
	const (
		amavis    = "amavis | /etc/amavis/conf.d/15-av_scanners:6 | "
		installed = "lib/systemd/system/amavis.service"
		unit      = "[Service]\nExecStart=/usr/sbin/amavisd-new\n[Install]\nWantedBy=multi-user.target\n"
		idle      = amavis + "amavis.service is neither enabled nor active | no: if it will be, --client amavis includes it\n"
		counts    = amavis + "names files by their path to unix:/run/clamav/clamd.ctl"
		process   = "/system.slice/amavis.service\n"
		debianOff = "usr/share/amavis/conf.d/20-package"
	)
	for _, c := range []struct {
		name    string
		files   []string
		clients []string
		want    string
	}{
		{"no unit", nil, nil, counts},
		{"installed", []string{installed, unit}, nil, idle},
		{"installed, and named", []string{installed, unit}, []string{"Amavis"}, counts},
		{"another one is named", []string{installed, unit}, []string{"rspamd"}, idle},
		{"enabled", []string{installed, unit, "etc/systemd/system/multi-user.target.wants/amavis.service", "->/lib/systemd/system/amavis.service"}, nil, counts},
		{"enabled, link into nothing", []string{installed, unit, "etc/systemd/system/multi-user.target.wants/amavis.service", "->/none"}, nil, counts},
		{"enabled by the vendor", []string{installed, unit, "usr/lib/systemd/system/mail.target.requires/amavis.service", "->../amavis.service"}, nil, counts},
		{"enabled by its socket", []string{installed, unit, "etc/systemd/system/sockets.target.wants/amavis.socket", "->/none"}, nil, counts},
		{"enabled, then masked", []string{installed, unit, "etc/systemd/system/multi-user.target.wants/amavis.service", "->/none", "etc/systemd/system/amavis.service", "->/dev/null"}, nil, idle},
		{"active", []string{installed, unit, "proc/17/cgroup", "4:memory:/\n1:name=systemd:" + process}, nil, counts},
		{"active, and it has cgroups of its own", []string{installed, unit, "proc/17/cgroup", "0::/x/system.slice/amavis.service/inner\n"}, nil, counts},
		{"another is active", []string{installed, unit, "proc/17/cgroup", "0::/system.slice/notamavis.service\n"}, nil, idle},
		{"not a process", []string{installed, unit, "proc/sys/cgroup", "0::" + process}, nil, idle},
		{"nothing can enable it", []string{installed, "[Service]\nExecStart=x\n"}, nil, counts},
		{"a script", []string{"etc/init.d/amavis", "#!/bin/sh\n", "etc/rc3.d/S01amavis", "->../init.d/amavis"}, nil, counts},
		{"a script that is off", []string{"etc/init.d/amavis", "#!/bin/sh\n", "etc/rc3.d/K01amavis", "->../init.d/amavis", "etc/rc3.d/S01notamavis", "x"}, nil, idle},
		{"a script beside a unit", []string{installed, unit, "etc/init.d/amavis", "#!/bin/sh\n", "etc/rc3.d/S01amavis", "x"}, nil, idle},
		{"Debian's virus checks are off", []string{debianOff, "# x\n@bypass_virus_checks_maps  = (1);  # DISABLE\n"}, nil,
			amavis + "virus checks are off: @bypass_virus_checks_maps in /usr/share/amavis/conf.d/20-package:2 | no: amavis does not use clamd\n"},
		{"a comment", []string{debianOff, "#@bypass_virus_checks_maps = (1);\n"}, nil, counts},
		{"Debian's virus checks are on", []string{debianOff, "@bypass_virus_checks_maps = (1);\n",
			"etc/amavis/conf.d/15-content_filter_mode", "@bypass_virus_checks_maps = (\n   \\%bypass_virus_checks, \\@bypass_virus_checks_acl);\n"}, nil, counts},
		{"switched off later", []string{"etc/amavis/conf.d/15-content_filter_mode", "@bypass_virus_checks_maps = (0);\n", "etc/amavis/conf.d/50-user", "@bypass_virus_checks_maps = ( 1 );\n"}, nil,
			amavis + "virus checks are off: @bypass_virus_checks_maps in /etc/amavis/conf.d/50-user:1 | no"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := look(t, Options{Root: clientTree(t, "amavis", c.files...), Clients: c.clients})
			var b strings.Builder
			for _, r := range m.Rows() {
				fmt.Fprintf(&b, "%s | %s | %s | %s\n", r.What, r.Where, r.Means, r.Used)
			}
			wantParts(t, b.String(), c.want)
			if n := strings.Count(b.String(), "amavis | "); n != 1 {
				t.Errorf("%d rows of amavis:\n%s", n, &b)
			}
			if got, want := len(m.Clients()) == 1, c.want == counts; got != want {
				t.Errorf("it counts: %v, want %v", got, want)
			}
			if got := strings.Contains(configOf(t, m), `client = "amavis"`); got != (c.want == counts) {
				t.Errorf("its profile is used: %v", got)
			}
		})
	}
	_, err := Look(Options{Root: tree(t, "mail"), Clients: []string{"amavisd"}, Dial: answering(nil)})
	if err == nil || !strings.Contains(err.Error(), "--client amavisd: no such client; there are: rspamd, amavis, ") {
		t.Errorf("--client amavisd: %v", err)
	}
	if names := ClientNames(); !slices.Contains(names, "MIMEDefang") || !slices.Contains(names, "clamonacc") {
		t.Errorf("names: %q", names)
	}
}

// TestIdleGroups shows that the files of a client that does not run need no group.
func TestIdleGroups(t *testing.T) {
	files := []string{"etc/group", "clamav:x:109:\namavis:x:113:\n", "lib/systemd/system/amavis.service", "[Install]\nWantedBy=multi-user.target\n"}
	for _, clients := range [][]string{nil, {"amavis"}} {
		m := look(t, Options{Root: clientTree(t, "amavis", files...), Clients: clients})
		if got := slices.Contains(m.groups(), "amavis"); got != (clients != nil) {
			t.Errorf("with %q: groups %q", clients, m.groups())
		}
	}
}

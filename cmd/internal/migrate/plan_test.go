package migrate

import (
	"strings"
	"testing"
)

// TestGroups has users of clamd, and the groups that polyclamd needs.
func TestGroups(t *testing.T) {
	const socket = "LocalSocket /run/c/s.ctl\n"
	const group = "root:x:0:clamav\nclamav:x:109:\ndefang:x:112:clamav,other\nmail:x:8:other\nbad name:x:7:clamav\npolyclam:x:118:clamav\n"
	const passwd = "root:x:0:0::/root:/bin/sh\nclamav:x:105:109:::\ndefang:x:106:112:::\n"
	for _, c := range []struct {
		name, conf string
		files      []string
		want       string
	}{
		{"of clamd's user", socket + "User clamav\n", nil, "clamav defang"},
		{"of the unit's user", socket, []string{"usr/lib/systemd/system/clamav-daemon.service", "[Service]\nExecStart=/usr/sbin/clamd\nUser=clamav\n"}, "clamav defang"},
		{"root has none", socket, nil, ""},
		{"root, named", socket + "User root\n", nil, ""},
		{"of the socket", socket + "User root\nLocalSocketGroup mail\n", nil, "mail"},
		{"of the socket, by number", socket + "User root\nLocalSocketGroup 8\n", nil, "mail"},
		{"an unknown user", socket + "User nosuch\n", nil, ""},
		{"of a client's files", socket + "User root\n", []string{"etc/exim.conf", "av_scanner = clamd:/run/c/s.ctl\n", "etc/passwd", passwd + "exim:x:9:8:::\n"}, "mail"},
		{"of a client without an account", socket + "User root\n", []string{"etc/exim.conf", "av_scanner = clamd:/run/c/s.ctl\n"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := append([]string{"etc/clamav/clamd.conf", c.conf, "etc/group", group, "etc/passwd", passwd}, c.files...)
			m := look(t, Options{Root: tree(t, "", files...)})
			if got := strings.Join(m.groups(), " "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestHints has clients whose files polyclamd cannot read.
func TestHints(t *testing.T) {
	const filter = "$Features{'Virus:CLAMD'} = 1; $ClamdSock = '/run/clamav/clamd.ctl';\n"
	for _, c := range []struct {
		name  string
		files []string
		parts []string
	}{
		{"MIMEDefang without group access", []string{"etc/mail/mimedefang-filter", filter}, []string{
			"/etc/mail/mimedefang-filter:1: MIMEDefang names files that only its own user defang can read (mode 0600)", "MD_ALLOW_GROUP_ACCESS=yes"}},
		{"MIMEDefang with it", []string{"etc/mail/mimedefang-filter", filter, "etc/default/mimedefang", "MD_ALLOW_GROUP_ACCESS=yes\n"}, []string{"!MIMEDefang"}},
		{"MIMEDefang off", []string{"etc/mail/mimedefang-filter", filter + "$Features{'Virus:CLAMD'} = 0;\n"}, []string{"!MIMEDefang"}},
		{"MIMEDefang with clamdscan", []string{"etc/mail/mimedefang-filter", "$Features{'Virus:CLAMDSCAN'} = '/usr/bin/clamdscan';\n"}, []string{"!MIMEDefang"}},
		{"files of anybody", []string{"etc/samba/smb.conf", "virusfilter:scanner = clamav\nvirusfilter:socket path = /run/clamav/clamd.ctl\n"}, []string{"Samba names files by their path: polyclamd must be able to read what clamav could"}},
		{"clamonacc", []string{"etc/clamav/clamd.conf", "LocalSocket /run/clamav/clamd.ctl\nOnAccessIncludePath /home\n"}, []string{"OnAccessExcludeUname polyclam"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := append([]string{"var/run", "->/run", "run/clamav/", ""}, c.files...)
			m := look(t, Options{Root: tree(t, "mail", files...)})
			wantParts(t, strings.Join(m.Hints(), "\n"), c.parts...)
		})
	}
}

// TestTemporary plans the file system for clamd's temporary files.
func TestTemporary(t *testing.T) {
	const conf = "LocalSocket /run/clamav/clamd.ctl\nUser clamav\nAlertExceedsMax yes\n"
	const unit = "usr/lib/systemd/system/clamav-daemon.service"
	meminfo := func(total, available string) []string {
		return []string{"proc/meminfo", "MemTotal: " + total + " kB\nMemAvailable: " + available + " kB\n"}
	}
	for _, c := range []struct {
		name, conf string
		files      []string
		size       int64 // MiB; 0: none
		why        string
	}{
		{"defaults", "", nil, 10 * 500, ""},
		{"of clamd.conf", "MaxThreads 4\nMaxScanSize 100M\nMaxFileSize 25M\n", nil, 4 * 125, ""},
		{"ForceToDisk", "MaxThreads 4\nMaxScanSize 100M\nMaxFileSize 25M\nForceToDisk yes\n", nil, 4 * 225, ""},
		{"no limit", "MaxScanSize 0\n", nil, 0, "MaxScanSize has no limit"},
		{"no limit for a file", "MaxFileSize 0\n", nil, 0, "MaxFileSize has no limit"},
		{"small machine", "", meminfo("4000000", "3000000"), 0, "it needs 5000M of memory for the worst case, MaxThreads 10 × (MaxScanSize 400M + MaxFileSize 100M); of the 2929M available, 0 is left beside polyclamd's spool and a reload of the signatures; not even MaxThreads 1 would fit"},
		{"busy machine", "", meminfo("33554432", "8000000"), 0, "of the 7812M available, 4228M is left beside polyclamd's spool and a reload of the signatures; MaxThreads 8 would fit"},
		{"more than a quarter", "", meminfo("10000000", "9900000"), 0, "more than a quarter of the machine's 9765M; MaxThreads 4 would fit"},
		{"unknown memory", "", []string{"proc/meminfo", "x\n"}, 0, "the machine's memory is not known"},
		{"MemoryMax", "", []string{unit + ".d/a.conf", "[Service]\nMemoryMax=4G\n"}, 0, "clamav-daemon.service has MemoryMax=4G"},
		{"a large MemoryMax", "", []string{unit + ".d/a.conf", "[Service]\nMemoryMax=20G\n"}, 5000, ""},
		{"PrivateTmp", "", []string{unit + ".d/a.conf", "[Service]\nPrivateTmp=yes\n"}, 0, "clamav-daemon.service has PrivateTmp=yes"},
		{"a tmpfs already", "TemporaryDirectory /run/clamav\n", nil, 0, "/run/clamav is a tmpfs already"},
		{"kept files", "LeaveTemporaryFiles yes\n", nil, 0, "LeaveTemporaryFiles yes: clamd would fill it"},
		{"a log in /tmp", "LogFile /tmp/c.log\n", nil, 0, "LogFile /tmp/c.log: the file system would hide it"},
		{"SELinux", "", []string{"etc/selinux/config", "SELINUX=enforcing\n"}, 0, "SELinux"},
		{"SELinux is off", "", []string{"etc/selinux/config", "SELINUX=disabled\n"}, 5000, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := append([]string{"run/clamav/", "", "tmp/", "", "etc/clamav/clamd.conf", conf + c.conf}, c.files...)
			m := look(t, Options{Root: tree(t, "mail", files...)})
			tmp, why := m.temporary()
			if tmp.size != c.size<<20 || !strings.Contains(why, c.why) || (why == "") != (c.size > 0) {
				t.Errorf("got %d MiB, %q; want %d, %q", tmp.size>>20, why, c.size, c.why)
			}
		})
	}
}

// TestAdvisedTemporary counts what the advice makes of clamd's limits.
func TestAdvisedTemporary(t *testing.T) {
	m := look(t, Options{Root: tree(t, "mail", "etc/clamav/clamd.conf", "LocalSocket /run/clamav/clamd.ctl\nUser clamav\nMaxThreads 2\nMaxFileSize 25M\nMaxScanSize 100M\n")})
	tmp, why := m.temporary()
	if want := int64(2 * 500 << 20); tmp.size != want || why != "" || !strings.Contains(tmp.comment(), "MaxScanSize 400M as recommended") {
		t.Errorf("got %d, %q, %q; want %d", tmp.size, why, tmp.comment(), want)
	}
	tmp.inodes = m.temporaryInodes()
	if got, want := tmp.option(), "/tmp:size=1048576000,nr_inodes=400000,mode=0700,uid=105,gid=109,nosuid,nodev,noexec"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestSocketUnit has a socket that systemd creates.
func TestSocketUnit(t *testing.T) {
	const (
		dropIn = "etc/systemd/system/clamav-daemon.socket.d/a.conf"
		conf   = "etc/clamav/clamd.conf"
		both   = "LocalSocket /run/clamav/clamd.ctl\nTCPSocket 3310\nTCPAddr 127.0.0.1\n"
	)
	for _, c := range []struct {
		name  string
		files []string
		parts []string
	}{
		{"as in clamd.conf", nil, []string{`mode = "0666"`, `group = "109"`, "!creates the socket"}},
		{"another mode and group", []string{dropIn, "[Socket]\nSocketMode=0660\nSocketGroup=mail\n"}, []string{`mode = "0660"`, `group = "8"`, "SocketMode=0660"}},
		{"another socket", []string{dropIn, "[Socket]\nListenStream=\nListenStream=/run/other\nSocketMode=0660\n"}, []string{"# clamav-daemon.socket: ListenStream=/run/other\naddress = \"unix:/run/other\"\n", `mode = "0660"`, "address = \"unix:/run/other-engine\"",
			"clamd does not listen on unix:/run/clamav/clamd.ctl, because"}},
		{"a port without a socket", []string{conf, "TCPSocket 3310\n"}, []string{"address = \"unix:/run/clamav/clamd.ctl\"", "address = \"unix:/run/clamav/clamd-engine.ctl\"",
			"!\naddress = \"tcp:", "clamd does not listen on tcp:[::]:3310, because"}},
		{"a port that is clamd.conf's alone", []string{conf, both}, []string{"address = \"unix:/run/clamav/clamd.ctl\"", "!\naddress = \"tcp:", "clamd does not listen on tcp:127.0.0.1:3310"}},
		{"a port of both", []string{conf, both, dropIn, "[Socket]\nListenStream=127.0.0.1:3310\n"}, []string{"# /etc/clamav/clamd.conf:2: TCPSocket 3310; ", "\naddress = \"tcp:127.0.0.1:3310\"", "!does not listen"}},
		{"a port of the unit alone", []string{dropIn, "[Socket]\nListenStream=3310\nListenStream=@abstract\nListenStream=vsock:2:1\n"},
			[]string{"# clamav-daemon.socket: ListenStream=3310\naddress = \"tcp:[::]:3310\"", "# Other machines can reach", "!does not listen", "!abstract"}},
		{"a port of the unit, no socket", []string{conf, "TCPSocket 3310\nTCPAddr 127.0.0.1\n", dropIn, "[Socket]\nListenStream=\nListenStream=[::1]:3410\n"},
			[]string{"address = \"tcp:[::1]:3410\"", "address = \"tcp:127.0.0.1:3411\"", "!unix:/run/clamav", "does not listen on tcp:127.0.0.1:3310"}},
		{"a directory that systemd names", []string{dropIn, "[Socket]\nListenStream=\nListenStream=%t/clamav/clamd.ctl\n"}, []string{"address = \"unix:/run/clamav/clamd.ctl\"", "!does not listen"}},
		{"no such group", []string{dropIn, "[Socket]\nSocketGroup=nosuch\n"}, []string{`group = "109"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := append([]string{"var/run", "->/run", "run/clamav/", ""}, c.files...)
			m := look(t, Options{Root: tree(t, "mail", files...)})
			wantParts(t, configOf(t, m)+strings.Join(m.Notes(), "\n"), c.parts...)
		})
	}
}

// TestSocketUnitUnused has a port on which clamd answers, although a unit has another socket.
func TestSocketUnitUnused(t *testing.T) {
	m := look(t, Options{
		Root: tree(t, "debian", "etc/clamav/clamd.conf", "TCPSocket 3310\nTCPAddr 127.0.0.1\n"),
		Dial: answering(map[string]string{"tcp:127.0.0.1:3310": pong}),
	})
	wantParts(t, configOf(t, m), "address = \"tcp:127.0.0.1:3310\"", "!clamd.ctl\"", "!does not listen")
}

// TestSocketUnitMoved writes the address of a unit, which clamd.conf does not have, into
// clamd's own configuration: clamd 1.4.6 does not start without one.
func TestSocketUnitMoved(t *testing.T) {
	dir := tree(t, "debian", "var/run", "->/run", "run/clamav/", "", "etc/clamav/clamd.conf", "TCPSocket 3310\nMaxThreads 5")
	if _, err := look(t, Options{Root: dir}).MoveClamd(); err != nil {
		t.Fatal(err)
	}
	wantParts(t, read(t, dir, "etc/clamav/clamd-engine.conf"), "\n#TCPSocket 3310\nMaxThreads 5\nLocalSocket /run/clamav/clamd-engine.ctl\n")
}

// TestSocketOwner has clients that may connect because they are clamd's user, or in its
// primary group.
func TestSocketOwner(t *testing.T) {
	const unit = "usr/lib/systemd/system/clamav-daemon.socket"
	for _, c := range []struct {
		name, conf, unit string
		parts            []string
	}{
		{"everybody", "User clamav\nLocalSocketMode 666\n", "", []string{"!SocketUser=", "!SocketGroup="}},
		{"the user alone", "User clamav\nLocalSocketMode 600\n", "", []string{"SocketMode=0600\nSocketGroup=109\nSocketUser=clamav"}},
		{"its group", "User clamav\nLocalSocketMode 660\n", "", []string{"SocketMode=0660\nSocketGroup=109\nSocketUser=clamav"}},
		{"another group", "User clamav\nLocalSocketMode 660\nLocalSocketGroup mail\n", "", []string{"SocketGroup=8\nSocketUser=clamav"}},
		{"root", "LocalSocketMode 660\n", "", []string{"!SocketUser=", "!SocketGroup="}},
		{"nobody known", "User no-such\nLocalSocketMode 660\n", "", []string{"!SocketUser=", "!SocketGroup="}},
		{"of the unit", "User clamav\n", "[Socket]\nListenStream=/run/clamav/clamd.ctl\nSocketUser=amavis\nSocketMode=0600\n", []string{"SocketMode=0600\nSocketUser=amavis", "!SocketGroup="}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := tree(t, "mail", "var/run", "->/run", "run/clamav/", "", "etc/clamav/clamd.conf", "LocalSocket /run/clamav/clamd.ctl\n"+c.conf, unit, c.unit)
			m := look(t, Options{Root: dir})
			configOf(t, m)
			wantParts(t, m.socketDropIn(), c.parts...)
		})
	}
}

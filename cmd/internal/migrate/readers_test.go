package migrate

import (
	"fmt"
	"strings"
	"testing"

	"polyclam/backends"
)

// readers are all readers of clients' configurations.
var readers = map[string]func(string) []mention{
	"rspamd": readRspamd, "amavis": readAmavis, "exim": readExim, "milter": readMilter, "clamsmtp": readClamsmtp, "haraka": readHaraka,
	"proftpd": readProftpd, "havp": readHavp, "squidclamav": readSquidclamav, "samba": readSamba, "mailscanner": readMailScanner, "nextcloud": readNextcloud,
	"mimedefang": func(data string) []mention {
		var d defang
		d.read(data)
		var list []mention
		for _, m := range []mention{d.socket, d.call} {
			if m.line > 0 {
				list = append(list, m)
			}
		}
		return list
	},
}

func (m mention) String() string {
	s := fmt.Sprintf("%d %s", m.line, m.address)
	if m.clamdConf != "" {
		s += "clamdscan " + m.clamdConf
	}
	if m.paths {
		s += " paths"
	}
	return s
}

// TestReaders has configurations of clients, and the addresses in them.
func TestReaders(t *testing.T) {
	for _, c := range []struct {
		reader, data string
		want         []string
	}{
		{"rspamd", `clamav { type = "clamav"; servers = "127.0.0.1:3310"; }`, []string{"1 tcp:127.0.0.1:3310"}},
		{"rspamd", "antivirus {\n a {\n  servers = \"/run/c.ctl\";\n  type = clamav;\n }\n}\n", []string{"3 unix:/run/c.ctl"}},
		{"rspamd", "a { servers = \"/c\"; type = \"kaspersky\" }\nb { servers = /d\n}", []string{"2 unix:/d"}},
		{"rspamd", "a { servers = /c; enabled = false; }", nil},
		{"rspamd", "#servers = \"/a\";\n/* servers = \"/b\";\n*/ servers = \"/c\"; # servers = /d\n", []string{"3 unix:/c"}},
		{"rspamd", "servers = [\"a\", \"b:1\",\n \"/c\"];\ntype = clamav", []string{"1 tcp:a:3310", "1 tcp:b:1", "2 unix:/c"}},
		{"rspamd", `"clamav": { "type": "clamav", "x": 1; "servers": "round-robin:h:3310:10,[::1]:3311" }`, []string{"1 tcp:h:3310", "1 tcp:[::1]:3311"}},
		{"rspamd", `a { servers = "${HOST}:3310"; }`, nil},
		{"rspamd", "} } } servers = /a;\n", []string{"1 unix:/a"}},
		{"amavis", "['C', \\&ask_daemon, [\"CONTSCAN {}\\n\", '/run/c.ctl'],\n", []string{"1 unix:/run/c.ctl paths"}},
		{"amavis", "['C',\n \\&ask_daemon,\n [ \"CONTSCAN {}\\n\",\n   \"127.0.0.1:3310\" ],", []string{"2 tcp:127.0.0.1:3310 paths"}},
		{"amavis", `['C', \&ask_daemon, ["{}/*", 'clamd:/run/c.ctl'],`, []string{"1 unix:/run/c.ctl"}},
		{"amavis", `['C', \&ask_daemon, ["*", 'clamd:[::1]:3310'],`, []string{"1 tcp:[::1]:3310"}},
		{"amavis", "# \\&ask_daemon, [\"CONTSCAN {}\\n\", '/run/c.ctl'],\n=pod\n\\&ask_daemon, [\"CONTSCAN\", '/b']\n=cut\n__END__\n\\&ask_daemon, [\"CONTSCAN\", '/c']", nil},
		{"amavis", `['Sophie', \&ask_daemon, ["{}/\n", '/var/run/sophie'],`, nil},
		{"amavis", `['C', \&ask_daemon, ["CONTSCAN {}\n", "$MYHOME/clamd"],`, nil},
		{"amavis", "['C', 'clamdscan',\n \"--stdout --fdpass --config-file=/etc/x.conf {}\",", []string{"1 clamdscan /etc/x.conf"}},
		{"amavis", `['C', '/usr/bin/clamdscan', "--no-summary {}",`, []string{"1 clamdscan /etc/clamav/clamd.conf paths"}},
		{"mimedefang", "$ClamdSock = '/a';\n$ClamdSock=\"/b\"; # $ClamdSock = '/c';\n", []string{"2 unix:/b paths"}},
		{"mimedefang", "sub f {\n my @r = message_contains_virus_clamd('/run/c.ctl');\n}", []string{"2 unix:/run/c.ctl paths"}},
		{"mimedefang", `entity_contains_virus_clamd($entity, "/run/c.ctl")`, []string{"1 unix:/run/c.ctl paths"}},
		{"exim", "av_scanner = clamd:/run/c.ctl\n", []string{"1 unix:/run/c.ctl paths"}},
		{"exim", "  hide av_scanner = clamd:127.0.0.1 3310\n", []string{"1 tcp:127.0.0.1:3310"}},
		{"exim", "av_scanner = clamd:a 1 retry=5s:b 2:local", []string{"1 tcp:a:1 paths", "1 tcp:b:2 paths"}},
		{"exim", "av_scanner = <; clamd ; ::1 3310", []string{"1 tcp:[::1]:3310"}},
		{"exim", "av_scanner = clamd:[::::1] 3310", []string{"1 tcp:[::1]:3310"}},
		{"exim", "A = B\nB == /c\nav_scanner = clamd:A\n", []string{"3 unix:/c paths"}},
		{"exim", "av_scanner = \\\n# x\n   clamd:\\\n /c", []string{"1 unix:/c paths"}},
		{"exim", "av_scanner = sophie:/var/run/sophie\n#av_scanner = clamd:/a\nav_scanner = $acl_m0\n", nil},
		{"milter", "#ClamdSocket unix:/a\nClamdSocket unix:/b\nClamdSocket tcp:192.0.2.1:7\nClamdSocket tcp:h\n", []string{"2 unix:/b", "3 tcp:192.0.2.1:7", "4 tcp:h:3310"}},
		{"milter", "Example\nClamdSocket unix:/b\n", nil},
		{"clamsmtp", "ClamAddress: 127.0.0.1:3310\nUser: x\n", []string{"1 tcp:127.0.0.1:3310 paths"}},
		{"clamsmtp", "#ClamAddress: /a\n", []string{"1 unix:/var/run/clamav/clamd paths"}},
		{"haraka", "; x\n[main]\nclamd_socket = /a, b:1\n", []string{"3 unix:/a", "3 tcp:b:1"}},
		{"haraka", "timeout=30\n", []string{"1 tcp:localhost:3310"}},
		{"proftpd", "ClamAV on\nClamServer 127.0.0.1\nClamPort 3311\nClamStream on\n", []string{"2 tcp:127.0.0.1:3311"}},
		{"proftpd", "<Global>\n  ClamAV\ton\n  ClamLocalSocket \"/run/c.ctl\"\n</Global>", []string{"3 unix:/run/c.ctl paths"}},
		{"proftpd", "ClamLocalSocket /a\nClamAV off\n", nil},
		{"havp", "ENABLECLAMD true\nCLAMDSOCKET /run/c.ctl\n", []string{"2 unix:/run/c.ctl paths"}},
		{"havp", "ENABLECLAMD true\nCLAMDSERVER 192.0.2.1\nCLAMDPORT 1\n", []string{"2 tcp:192.0.2.1:1 paths"}},
		{"havp", "ENABLECLAMD false\nCLAMDSOCKET /run/c.ctl\n", nil},
		{"squidclamav", "clamd_local /run/c.ctl\nclamd_ip 192.0.2.1\n", []string{"1 unix:/run/c.ctl"}},
		{"squidclamav", "#clamd_local /run/c.ctl\nclamd_ip 192.0.2.1,192.0.2.2\nclamd_port 1\n", []string{"2 tcp:192.0.2.1:1"}},
		{"samba", "[share]\nvirusfilter:scanner = clamav\nvirusfilter:socket path = /run/c.ctl\n", []string{"3 unix:/run/c.ctl paths"}},
		{"samba", "virusfilter:scanner = sophos\nvirusfilter:socket path = /run/c.ctl\n", nil},
		{"mailscanner", "Virus Scanners = sophos clamd\nClamd Socket = /run/c.ctl\n", []string{"2 unix:/run/c.ctl paths"}},
		{"mailscanner", "Virus Scanners = auto\nClamd Socket = 127.0.0.1\nClamd Port = 1\n", []string{"2 tcp:127.0.0.1:1 paths"}},
		{"mailscanner", "Virus Scanners = none\nClamd Socket = /run/c.ctl\n", nil},
		{"nextcloud", "<?php\n$CONFIG = array (\n'av_mode' => 'socket',\n 'av_socket' => '/run/c.ctl',\n);", []string{"4 unix:/run/c.ctl"}},
		{"nextcloud", `'av_mode' => 'daemon', 'av_host' => 'h'`, []string{"1 tcp:h:3310"}},
		{"nextcloud", `'av_mode' => 'executable', 'av_socket' => '/run/c.ctl'`, nil},
	} {
		var got []string
		for _, m := range readers[c.reader](c.data) {
			got = append(got, m.String())
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q\ngot  %q\nwant %q", c.reader, c.data, got, c.want)
		}
	}
}

// FuzzReaders checks that no configuration makes a reader crash, or invent an address
// that polyclam's own configuration could not have.
func FuzzReaders(f *testing.F) {
	f.Add("clamav { type = \"clamav\"; servers = [\"a:1\", \"/b\"] } # x\n/* y")
	f.Add("clamav{servers=[\"*\", \"/" + strings.Repeat("a", 120) + "\"]}")
	f.Add("['C', \\&ask_daemon, [\"CONTSCAN {}\\n\", '/run/c.ctl'],\n=pod\n=cut\n__END__")
	f.Add("$ClamdSock = '/a';\n$Features{'Virus:CLAMD'} = ('/bin/false' ne '/bin/false' ? 1 : 0);")
	f.Add("A = B\nB = A A\nav_scanner = <; clamd;A 1;\\\n# c\n /c")
	f.Add("ClamAV on\nClamServer ::1\nClamPort 99999\nENABLECLAMD true\nCLAMDSERVER a%b\nClamAddress: \x00")
	f.Fuzz(func(t *testing.T, data string) {
		lines := 1 + strings.Count(data, "\n")
		for name, read := range readers {
			list := read(data)
			if len(list) > 4*maxMentions {
				t.Errorf("%s: %d addresses", name, len(list))
			}
			for _, m := range list {
				if m.line < 1 || m.line > lines {
					t.Errorf("%s: line %d of %d", name, m.line, lines)
				}
				if !strings.HasPrefix(m.address, "unix:/") && !strings.HasPrefix(m.address, "tcp:") && m.clamdConf == "" {
					t.Errorf("%s: address %q", name, m.address)
				}
				if !isText(m.address) {
					t.Errorf("%s: address %q is no text", name, m.address)
				}
				if m.clamdConf == "" {
					if _, _, err := backends.ParseAddress(m.address); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
	})
}

// TestHookCommand has commands of VirusEvent.
func TestHookCommand(t *testing.T) {
	const name = "${CLAM_VIRUSEVENT_VIRUSNAME}"
	for command, want := range map[string]string{
		"/bin/notify %v":       `/bin/notify "` + name + `"`,
		`echo "found %v" >>/x`: `echo "found ` + name + `" >>/x`,
		`echo 'found %v' %v`:   `echo 'found '"` + name + `"'' "` + name + `"`,
		`echo \' %v`:           `echo \' "` + name + `"`,
		`echo '\' %v`:          `echo '\' "` + name + `"`,
		`echo "\" %v"`:         `echo "\" ` + name + `"`,
		`echo 100%`:            `echo 100%`,
		`/plain`:               `/plain`,
	} {
		if got := hookCommand(command); got != want {
			t.Errorf("%s: got %s, want %s", command, got, want)
		}
	}
}

package migrate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"polyclam/test/testkit"
)

// clientTree is a Debian with the files of a client.
func clientTree(t *testing.T, name string, more ...string) string {
	t.Helper()
	dir := tree(t, "mail", append([]string{"var/run", "->/run", "run/clamav/", ""}, more...)...)
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "clients", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestClientLayouts compares what is found for each client with golden files.
func TestClientLayouts(t *testing.T) {
	for _, name := range []string{"mimedefang", "amavis", "rspamd", "exim", "clamsmtp", "c-icap", "mixed", "rhel"} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			if name == "rhel" {
				dir = tree(t, "rhel-mail", "var/run", "->/run", "run/clamd.amavisd/", "")
			} else {
				dir = clientTree(t, name)
			}
			m := look(t, Options{Root: dir})
			testkit.Golden(t, filepath.Join("testdata", "clients", name+".golden"), []byte(foundOn(t, m)))
		})
	}
}

// foundOn returns what a machine's clients change.
func foundOn(t *testing.T, m *Machine) string {
	t.Helper()
	var b strings.Builder
	for _, r := range m.Rows() {
		fmt.Fprintf(&b, "%s | %s | %s | %s\n", r.What, r.Where, r.Means, r.Used)
	}
	for _, h := range m.Hints() {
		fmt.Fprintf(&b, "hint: %s\n", h)
	}
	text, _, _ := strings.Cut(configOf(t, m), "\n[[engine]]\n")
	_, listeners, _ := strings.Cut(text, "\n\n")
	fmt.Fprintf(&b, "\n=== listeners\n%s", listeners)
	fmt.Fprintf(&b, "\n=== groups %q\n", m.groups())
	if tmp, why := m.temporary(); why == "" {
		fmt.Fprintf(&b, "=== temporary files: %s\n%s\n", tmp.option(), tmp.comment())
	}
	return b.String()
}

// TestClientRows has clients in other places, and what is found.
func TestClientRows(t *testing.T) {
	const tcp = "LocalSocket /run/clamav/clamd.ctl\nTCPSocket 3310\nTCPAddr 127.0.0.1\nUser clamav\n"
	const unit, stream = "etc/systemd/system/clamav-daemon.socket.d/tcp.conf", "[Socket]\nListenStream=127.0.0.1:3310\n"
	const icap = "Port 1344\nUser c-icap\nService a virus_scan.so\nModule common clamd_mod.so\n"
	for _, c := range []struct {
		name  string
		files []string
		parts []string // of the rows and the configuration
	}{
		{"nobody", nil, []string{"!client = "}},
		{"Nextcloud's app", []string{"var/www/nextcloud/config/config.php", "<?php", "var/www/nextcloud/apps/files_antivirus/", ""}, []string{
			`Nextcloud | /var/www/nextcloud/apps/files_antivirus | the app may use clamd; its settings are in Nextcloud's database | unknown: see "occ config:list files_antivirus"`, "!client = "}},
		{"one client on each address", []string{unit, stream, "etc/clamav/clamd.conf", tcp, "etc/rspamd/local.d/antivirus.conf", "clamav { type = \"clamav\"; servers = \"localhost:3310\"; }",
			"etc/clamsmtpd.conf", "ClamAddress: /run/clamav/clamd.ctl\n"}, []string{
			"# /etc/clamsmtpd.conf:1: clamsmtp names files", "client = \"generic\"\n",
			"address = \"tcp:127.0.0.1:3310\"\n# /etc/rspamd/local.d/antivirus.conf:1: rspamd sends streams to tcp:localhost:3310\nclient = \"rspamd\"\n", "\n#path_commands = true"}},
		{"paths over TCP", []string{unit, stream, "etc/clamav/clamd.conf", tcp, "etc/c-icap/c-icap.conf", icap + "clamd_mod.ClamdPort 3310\n"}, []string{
			"c-icap | /etc/c-icap/c-icap.conf:5 | names files by their path to tcp:127.0.0.1:3310: in /var/tmp, c-icap:c-icap, mode 0640 | yes", "\npath_commands = true\n",
			"it asks clamd, which is now polyclam"}},
		{"c-icap with another clamd", []string{"etc/c-icap/c-icap.conf", icap + "clamd_mod.ClamdHost 192.0.2.1\nclamd_mod.ClamdPort 3310\n"}, []string{
			"c-icap | /etc/c-icap/c-icap.conf:6 | uses the clamd on tcp:192.0.2.1:3310 | no: polyclam does not replace that clamd", "!which is now polyclam", "it does not answer"}},
		{"c-icap with the engine's own socket", []string{"etc/c-icap/c-icap.conf", icap + "clamd_mod.ClamdSocket /run/clamav/clamd-engine.ctl\n"}, []string{"!which is now polyclam"}},
		{"clamonacc with descriptors", []string{unit, stream, "etc/clamav/clamd.conf", tcp + "OnAccessIncludePath /home\n",
			"etc/systemd/system/clamav-clamonacc.service", "[Service]\nExecStart=/usr/sbin/clamonacc -F --fdpass\n"}, []string{
			"clamonacc | /etc/clamav/clamd.conf:5 | sends descriptors or streams to unix:/run/clamav/clamd.ctl | yes: client = \"generic\"", "# polyclamd opens files as its own user: add"}},
		{"clamdscan's other configuration", []string{"etc/amavis/conf.d/50-user", "['C', 'clamdscan', \"--fdpass -c /etc/other.conf {}\","}, []string{
			"amavis | /etc/amavis/conf.d/50-user:1 | runs clamdscan with /etc/other.conf | no"}},
		{"the same twice", []string{"etc/exim4/conf.d/main/a", "av_scanner = clamd:/run/clamav/clamd.ctl\n", "etc/exim4/exim4.conf.template", "av_scanner = clamd:/run/clamav/clamd.ctl\n"}, []string{
			"Exim | /etc/exim4/conf.d/main/a:1 | ", "!exim4.conf.template"}},
		{"MailScanner", []string{"etc/MailScanner/MailScanner.conf", "Clamd Socket = /run/clamav/clamd.ctl\nRun As User = defang\nIncoming Work Group = mail\nIncoming Work Permissions = 0640\n"}, []string{
			"in /var/spool/MailScanner/incoming, defang:mail, mode 0640", "SupplementaryGroups=Debian-exim amavis clamav clamsmtp defang mail"}},
		{"directories in the place of files", []string{"etc/clamsmtpd.conf/", "", "etc/haraka/config/clamd.ini/", ""}, []string{"!client = "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := append([]string{"var/run", "->/run", "run/clamav/", ""}, c.files...)
			m := look(t, Options{Root: tree(t, "mail", files...)})
			var b strings.Builder
			for _, r := range m.Rows() {
				fmt.Fprintf(&b, "%s | %s | %s | %s\n", r.What, r.Where, r.Means, r.Used)
			}
			text, _, err := m.Config()
			if err != nil {
				t.Fatal(err)
			}
			wantParts(t, b.String()+text, c.parts...)
		})
	}
}

package migrate

import (
	"fmt"
	"path"
	"strings"
)

// defangFiles are MIMEDefang's files in the order in which it reads them: its defaults,
// the administrator's settings, and the filter.
var defangFiles = []string{
	"/usr/bin/mimedefang.pl", "/usr/local/bin/mimedefang.pl",
	"/etc/mail/mimedefang.pl.conf", "/etc/mimedefang.pl.conf",
	"/etc/mail/mimedefang-filter", "/etc/mimedefang-filter",
}

var defangKind = clientKind{name: "MIMEDefang", units: []string{"mimedefang", "mimedefang-multiplexor"}, profile: "mimedefang", bearsClose: true, owner: ownerDefang}

func (s *search) mimedefang() {
	var d defang
	// Where each of them is set.
	var socket, call, daemon, program string
	for _, file := range defangFiles {
		data, _, err := s.m.root.read(file)
		if err != nil {
			continue
		}
		changed := d.read(string(data))
		for _, c := range []struct {
			set   bool
			where *string
		}{{changed.socket, &socket}, {changed.call, &call}, {changed.daemon, &daemon}, {changed.program, &program}} {
			if c.set {
				*c.where = file
			}
		}
	}
	if call != "" {
		s.add(&defangKind, call, d.call)
	}
	if d.on && socket != "" {
		// The line that the administrator wrote says more than the default.
		at, where := d.socket, socket
		if strings.HasSuffix(socket, "mimedefang.pl") {
			at.line, where = d.daemon.line, daemon
		}
		s.add(&defangKind, where, at)
	}
	if d.program != "" {
		conf := d.conf
		if conf == "" {
			conf = confFiles[0].path
		}
		s.add(&defangKind, program, mention{line: d.programLine, clamdConf: conf})
	}
}

// ownerDefang describes the parts of a mail in MIMEDefang's spool.
func ownerDefang(m *Machine, file string, c *client) {
	files := []string{"/etc/default/mimedefang", "/etc/sysconfig/mimedefang", "/etc/conf.d/mimedefang"}
	mode := uint32(0o600)
	if isOn(m.root.shellValue("MD_ALLOW_GROUP_ACCESS", files...)) {
		mode = 0o640
	}
	c.owned(m, "/var/spool/MIMEDefang", mode, m.root.shellValue("MX_USER", files...), "defang")
}

var cicapKind = clientKind{name: "c-icap", units: []string{"c-icap"}, profile: "generic", sends: "descriptors", bearsClose: true, owner: ownerCICAP}

// cicap finds the module clamd_mod.
func (s *search) cicap() {
	for _, file := range cicapConfs {
		var c cicap
		if s.m.readCICAP(file, &c) != nil || c.module.file == "" {
			continue
		}
		if address, at := c.clamd(); address != "" {
			s.add(&cicapKind, at.file, mention{line: at.line, address: address, paths: strings.HasPrefix(address, "tcp:")})
		}
	}
}

func ownerCICAP(m *Machine, _ string, c *client) {
	for _, file := range cicapConfs {
		var conf cicap
		if m.readCICAP(file, &conf) != nil {
			continue
		}
		dir := conf.temporary
		if dir == "" {
			dir = "/var/tmp"
		}
		c.owned(m, dir, 0o640, conf.user, "c-icap")
		return
	}
}

var clamonaccKind = clientKind{name: "clamonacc", units: []string{"clamav-clamonacc", "clamonacc"}, profile: "generic", sends: "descriptors or streams", bearsClose: true}

// clamonacc finds on-access scanning, which clamd.conf configures.
func (s *search) clamonacc() {
	if s.m.clamd == nil {
		return
	}
	for _, key := range []string{"OnAccessIncludePath", "OnAccessMountPath"} {
		o, ok := s.m.clamd.conf.find(key)
		if !ok {
			continue
		}
		_, start := s.m.root.unitLines("clamav-clamonacc.service", "ExecStart")
		paths := len(start) > 0 && !passesFiles(start[len(start)-1])
		s.add(&clamonaccKind, s.m.clamd.conf.path, mention{line: o.line, address: s.m.clamd.listeners[0].address, paths: paths})
		return
	}
}

// nextcloudConfigs are the usual places of Nextcloud's configuration.
var nextcloudConfigs = []string{
	"/var/www/nextcloud/config/config.php", "/var/www/html/nextcloud/config/config.php", "/var/www/html/config/config.php",
	"/usr/share/nextcloud/config/config.php", "/etc/nextcloud/config.php", "/srv/www/nextcloud/config/config.php", "/usr/share/webapps/nextcloud/config/config.php",
}

// nextcloudHint shows the app files_antivirus, whose settings are in a database.
func (m *Machine) nextcloudHint() {
	for _, c := range m.users {
		if c.name == "Nextcloud" {
			return
		}
	}
	for _, config := range nextcloudConfigs {
		for _, apps := range []string{"apps", "custom_apps", "apps-extra"} {
			app := path.Join(path.Dir(path.Dir(config)), apps, "files_antivirus")
			if m.root.exists(app) {
				m.row("Nextcloud", app, "the app may use clamd; its settings are in Nextcloud's database",
					fmt.Sprintf("unknown: see %q", "occ config:list files_antivirus"))
				return
			}
		}
	}
}

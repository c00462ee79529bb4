package migrate

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// clientKind is a program that may use clamd, and the files that configure that.
type clientKind struct {
	name, profile string
	units         []string // that start it, without ".service"; empty: not known
	// files are the paths of its configuration. One that ends in "/" is a directory.
	files []string
	read  func(data string) []mention
	// owner fills in whose files the client names by their path.
	owner func(m *Machine, file string, c *client)
	// change is the line that gives it a separate address; %s is the path of the socket.
	change string
	sends  string // what it sends instead of paths
	// bearsClose says that it treats a connection that is closed without a reply as a
	// failure, not as clean.
	bearsClose bool
}

var clientKinds = []clientKind{
	{
		name: "rspamd", units: []string{"rspamd"}, profile: "rspamd", sends: "streams", bearsClose: true, read: readRspamd, change: `servers = "%s";`,
		files: []string{
			"/etc/rspamd/override.d/antivirus.conf", "/etc/rspamd/local.d/antivirus.conf", "/etc/rspamd/modules.d/antivirus.conf", "/etc/rspamd/rspamd.conf.local",
			"/usr/local/etc/rspamd/override.d/antivirus.conf", "/usr/local/etc/rspamd/local.d/antivirus.conf",
		},
	},
	{
		name: "amavis", units: []string{"amavis", "amavisd", "amavisd-new"}, profile: "amavis", sends: "streams", read: readAmavis, owner: ownerAmavis,
		files: []string{"/etc/amavis/conf.d/", "/etc/amavis/amavisd.conf", "/etc/amavisd/amavisd.conf", "/etc/amavisd.conf", "/usr/local/etc/amavisd.conf"},
	},
	{
		name: "Exim", units: []string{"exim4", "exim"}, profile: "exim", sends: "streams", bearsClose: true, read: readExim, owner: ownerExim,
		files: []string{
			"/etc/exim4/conf.d/main/", "/etc/exim4/exim4.conf.template", "/etc/exim4/exim4.conf", "/etc/exim4/exim4.conf.localmacros",
			"/etc/exim/exim.conf", "/etc/exim.conf", "/etc/mail/exim.conf", "/usr/local/etc/exim/configure",
		},
	},
	{
		name: "clamav-milter", units: []string{"clamav-milter"}, profile: "milter", sends: "streams or descriptors", bearsClose: true, read: readMilter,
		files: []string{"/etc/clamav/clamav-milter.conf", "/etc/mail/clamav-milter.conf", "/etc/clamav-milter.conf", "/usr/local/etc/clamav-milter.conf"},
	},
	{
		name: "clamsmtp", units: []string{"clamsmtp", "clamsmtpd"}, profile: "generic", bearsClose: true, read: readClamsmtp, owner: ownerClamsmtp,
		files: []string{"/etc/clamsmtpd.conf", "/usr/local/etc/clamsmtpd.conf"},
	},
	{
		name: "MailScanner", units: []string{"mailscanner", "MailScanner"}, profile: "generic", read: readMailScanner, owner: ownerMailScanner,
		files: []string{"/etc/MailScanner/MailScanner.conf", "/etc/MailScanner/conf.d/"},
	},
	{
		name: "Haraka", units: []string{"haraka"}, profile: "haraka", sends: "streams", bearsClose: true, read: readHaraka, change: "clamd_socket = %s",
		files: []string{"/etc/haraka/config/clamd.ini", "/etc/haraka/clamd.ini", "/opt/haraka/config/clamd.ini", "/usr/local/haraka/config/clamd.ini", "/var/lib/haraka/config/clamd.ini", "/srv/haraka/config/clamd.ini"},
	},
	{
		name: "squidclamav", units: []string{"c-icap"}, profile: "http-gateway", sends: "streams", read: readSquidclamav, change: "clamd_local %s",
		files: []string{"/etc/c-icap/squidclamav.conf", "/etc/squidclamav.conf", "/usr/local/etc/squidclamav.conf"},
	},
	{
		name: "HAVP", units: []string{"havp"}, profile: "generic", read: readHavp, owner: ownerHavp,
		files: []string{"/etc/havp/havp.config", "/usr/local/etc/havp/havp.config"},
	},
	{
		name: "ProFTPD", units: []string{"proftpd"}, profile: "generic", sends: "streams", read: readProftpd,
		files: []string{"/etc/proftpd/proftpd.conf", "/etc/proftpd/conf.d/", "/etc/proftpd.conf", "/usr/local/etc/proftpd.conf"},
	},
	{
		name: "Samba", units: []string{"smbd", "smb", "samba"}, profile: "generic", bearsClose: true, read: readSamba,
		files: []string{"/etc/samba/smb.conf", "/usr/local/etc/smb4.conf"},
	},
	{
		name: "Nextcloud", profile: "generic", sends: "streams", bearsClose: true, read: readNextcloud,
		files: nextcloudConfigs,
	},
}

// elsewhere is a client that does not count, and why.
type elsewhere struct{ name, where, means, used string }

// search collects the clients on a machine.
type search struct {
	m       *Machine
	users   []client
	rest    []elsewhere
	running map[string]bool // units with a process; nil: not looked for yet
}

// lookClients finds the programs that use clamd, by their own configuration.
func (m *Machine) lookClients() {
	s := &search{m: m}
	s.mimedefang()
	for i := range clientKinds {
		s.kind(&clientKinds[i])
	}
	s.cicap()
	s.clamonacc()
	m.users = s.users
	m.rowsOfClients()
	for i, e := range s.rest {
		// A client of several clamds is in both lists. One that does not run is shown once.
		if !slices.ContainsFunc(m.users, func(c client) bool { return c.name == e.name && c.where == e.where }) &&
			(e.used == "" || !slices.ContainsFunc(s.rest[:i], func(o elsewhere) bool { return o.name == e.name && o.used == e.used })) {
			m.row(e.name, e.where, e.means, cmp.Or(e.used, "no: polyclam does not replace that clamd"))
		}
	}
	m.nextcloudHint()
}

// kind reads the files of one kind of client.
func (s *search) kind(k *clientKind) {
	for _, f := range s.files(k.files) {
		data, _, err := s.m.root.read(f)
		if err != nil {
			continue
		}
		for _, at := range k.read(string(data)) {
			s.add(k, f, at)
		}
	}
}

// files returns the files of a list, with those in its directories.
func (s *search) files(list []string) (files []string) {
	for _, file := range list {
		dir, ok := strings.CutSuffix(file, "/")
		if !ok {
			files = append(files, file)
			continue
		}
		const most = 200
		in := s.m.root.list(dir, "")
		files = append(files, in[:min(len(in), most)]...)
	}
	return files
}

// add adds a client, or remembers that it uses another clamd.
func (s *search) add(k *clientKind, file string, at mention) {
	where := fmt.Sprintf("%s:%d", file, at.line)
	c := client{name: k.name, profile: k.profile, where: where, paths: at.paths, address: at.address, change: k.change, sends: k.sends, bearsClose: k.bearsClose}
	if at.clamdConf != "" {
		if c.address = s.m.addressIn(at.clamdConf); c.address == "" {
			s.rest = append(s.rest, elsewhere{name: k.name, where: where, means: "runs clamdscan with " + at.clamdConf})
			return
		}
		c.sends, c.bearsClose = "files through clamdscan", true
	}
	if c.listener = s.m.listenerOf(c.address); c.listener < 0 {
		s.rest = append(s.rest, elsewhere{name: k.name, where: where, means: "uses the clamd on " + c.address})
		return
	}
	if why, used := s.unused(k); why != "" {
		s.rest = append(s.rest, elsewhere{k.name, where, why, used})
		return
	}
	if strings.HasPrefix(c.address, "unix:") {
		c.address = "unix:" + s.m.root.short(path.Clean(strings.TrimPrefix(c.address, "unix:")))
	}
	// amavis' stream method hangs when a connection is closed.
	c.bearsClose = c.bearsClose || k.name == "amavis" && at.paths
	if c.paths && k.owner != nil {
		k.owner(s.m, file, &c)
	}
	for _, o := range s.users {
		if o.name == c.name && o.listener == c.listener && (o.paths || !c.paths) {
			return
		}
	}
	s.users = slices.DeleteFunc(s.users, func(o client) bool { return o.name == c.name && o.listener == c.listener })
	s.users = append(s.users, c)
}

// unused says why a client that is configured does not use clamd, or nothing.
func (s *search) unused(k *clientKind) (why, used string) {
	if unit, idle := s.idle(k); idle {
		return unit + " is neither enabled nor active", "no: if it will be, --client " + k.name + " includes it"
	}
	if k.name != "amavis" {
		return "", ""
	}
	at, file := s.amavisOff()
	if file == "" {
		return "", ""
	}
	return fmt.Sprintf("virus checks are off: @bypass_virus_checks_maps in %s:%d", file, at.line), "no: amavis does not use clamd"
}

// addressIn returns clamd's address if a path names the clamd.conf that polyclam takes
// over.
func (m *Machine) addressIn(conf string) string {
	if m.clamd == nil {
		return ""
	}
	if real, err := m.root.resolve(conf); err != nil || real != m.clamd.conf.real {
		return ""
	}
	return m.clamd.listeners[0].address
}

// rowsOfClients adds a row for each client.
func (m *Machine) rowsOfClients() {
	for i := range m.users {
		c := &m.users[i]
		s := m.served(c.listener)
		used := "yes: client = " + quote(s.client)
		switch {
		case slices.ContainsFunc(s.own, func(o client) bool { return o.name == c.name }):
			used = "yes, but a [[listener]] of its own is better; the configuration has one to switch on"
		case s.client != c.profile:
			used += ", for all clients of this address"
		}
		m.row(c.name, c.where, c.means(), used)
	}
}

// means describes what a client does.
func (c *client) means() string {
	switch {
	case !c.paths:
		return fmt.Sprintf("sends %s to %s", cmp.Or(c.sends, "streams"), c.address)
	case c.user == "":
		return "names files by their path to " + c.address
	}
	return fmt.Sprintf("names files by their path to %s: in %s, %s:%s, mode %04o", c.address, c.dir, c.user, c.group, c.mode)
}

package migrate

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// clientKind is a program that may use clamd, and the files that tell where it does.
type clientKind struct {
	name, profile string
	// files are the paths of its configuration. One that ends in "/" is a directory.
	files []string
	read  func(data string) []mention
	// owner fills in whose files the client names by their path.
	owner func(m *Machine, file string, c *client)
	// change is the line for an address of its own; %s is the path of the socket.
	change string
	sends  string // what it sends instead of paths
	// bearsClose says that it treats a connection that is closed without a reply as a
	// failure, not as clean.
	bearsClose bool
}

var clientKinds = []clientKind{
	{
		name: "rspamd", profile: "rspamd", sends: "streams", bearsClose: true, read: readRspamd, change: `servers = "%s";`,
		files: []string{
			"/etc/rspamd/override.d/antivirus.conf", "/etc/rspamd/local.d/antivirus.conf", "/etc/rspamd/modules.d/antivirus.conf", "/etc/rspamd/rspamd.conf.local",
			"/usr/local/etc/rspamd/override.d/antivirus.conf", "/usr/local/etc/rspamd/local.d/antivirus.conf",
		},
	},
	{
		name: "amavis", profile: "amavis", sends: "streams", read: readAmavis, owner: ownerAmavis,
		files: []string{"/etc/amavis/conf.d/", "/etc/amavis/amavisd.conf", "/etc/amavisd/amavisd.conf", "/etc/amavisd.conf", "/usr/local/etc/amavisd.conf"},
	},
	{
		name: "Exim", profile: "exim", sends: "streams", bearsClose: true, read: readExim, owner: ownerExim,
		files: []string{
			"/etc/exim4/conf.d/main/", "/etc/exim4/exim4.conf.template", "/etc/exim4/exim4.conf", "/etc/exim4/exim4.conf.localmacros",
			"/etc/exim/exim.conf", "/etc/exim.conf", "/etc/mail/exim.conf", "/usr/local/etc/exim/configure",
		},
	},
	{
		name: "clamav-milter", profile: "milter", sends: "streams or descriptors", bearsClose: true, read: readMilter,
		files: []string{"/etc/clamav/clamav-milter.conf", "/etc/mail/clamav-milter.conf", "/etc/clamav-milter.conf", "/usr/local/etc/clamav-milter.conf"},
	},
	{
		name: "clamsmtp", profile: "generic", bearsClose: true, read: readClamsmtp, owner: ownerClamsmtp,
		files: []string{"/etc/clamsmtpd.conf", "/usr/local/etc/clamsmtpd.conf"},
	},
	{
		name: "MailScanner", profile: "generic", read: readMailScanner, owner: ownerMailScanner,
		files: []string{"/etc/MailScanner/MailScanner.conf", "/etc/MailScanner/conf.d/"},
	},
	{
		name: "Haraka", profile: "haraka", sends: "streams", bearsClose: true, read: readHaraka, change: "clamd_socket = %s",
		files: []string{"/etc/haraka/config/clamd.ini", "/etc/haraka/clamd.ini", "/opt/haraka/config/clamd.ini", "/usr/local/haraka/config/clamd.ini", "/var/lib/haraka/config/clamd.ini", "/srv/haraka/config/clamd.ini"},
	},
	{
		name: "squidclamav", profile: "http-gateway", sends: "streams", read: readSquidclamav, change: "clamd_local %s",
		files: []string{"/etc/c-icap/squidclamav.conf", "/etc/squidclamav.conf", "/usr/local/etc/squidclamav.conf"},
	},
	{
		name: "HAVP", profile: "generic", read: readHavp, owner: ownerHavp,
		files: []string{"/etc/havp/havp.config", "/usr/local/etc/havp/havp.config"},
	},
	{
		name: "ProFTPD", profile: "generic", sends: "streams", read: readProftpd,
		files: []string{"/etc/proftpd/proftpd.conf", "/etc/proftpd/conf.d/", "/etc/proftpd.conf", "/usr/local/etc/proftpd.conf"},
	},
	{
		name: "Samba", profile: "generic", bearsClose: true, read: readSamba,
		files: []string{"/etc/samba/smb.conf", "/usr/local/etc/smb4.conf"},
	},
	{
		name: "Nextcloud", profile: "generic", sends: "streams", bearsClose: true, read: readNextcloud,
		files: nextcloudConfigs,
	},
}

// elsewhere is a client of a clamd that polyclam does not replace.
type elsewhere struct{ name, where, means string }

// search collects the clients on a machine.
type search struct {
	m     *Machine
	users []client
	rest  []elsewhere
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
	for _, e := range s.rest {
		// A client of several clamds is in both lists.
		if !slices.ContainsFunc(m.users, func(c client) bool { return c.name == e.name && c.where == e.where }) {
			m.row(e.name, e.where, e.means, "no: polyclam does not replace that clamd")
		}
	}
	m.nextcloudHint()
}

// kind reads the files of one kind of client.
func (s *search) kind(k *clientKind) {
	for _, file := range k.files {
		list := []string{file}
		if dir, ok := strings.CutSuffix(file, "/"); ok {
			const most = 200
			list = s.m.root.list(dir, "")
			list = list[:min(len(list), most)]
		}
		for _, f := range list {
			data, _, err := s.m.root.read(f)
			if err != nil {
				continue
			}
			for _, at := range k.read(string(data)) {
				s.add(k, f, at)
			}
		}
	}
}

// add adds a client, or remembers that it uses another clamd.
func (s *search) add(k *clientKind, file string, at mention) {
	where := fmt.Sprintf("%s:%d", file, at.line)
	c := client{name: k.name, profile: k.profile, where: where, paths: at.paths, address: at.address, change: k.change, sends: k.sends, bearsClose: k.bearsClose}
	if at.clamdConf != "" {
		if c.address = s.m.addressIn(at.clamdConf); c.address == "" {
			s.rest = append(s.rest, elsewhere{k.name, where, "runs clamdscan with " + at.clamdConf})
			return
		}
		c.sends, c.bearsClose = "files through clamdscan", true
	}
	if c.listener = s.m.listenerOf(c.address); c.listener < 0 {
		s.rest = append(s.rest, elsewhere{k.name, where, "uses the clamd on " + c.address})
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

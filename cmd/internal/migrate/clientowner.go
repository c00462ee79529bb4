package migrate

import (
	"regexp"
	"strconv"
	"strings"
)

// owned sets whose files a client names by their path, if there is such a user: the
// first of the users that exists, with its primary group.
func (c *client) owned(m *Machine, dir string, mode uint32, users ...string) {
	for _, name := range users {
		if a, ok := m.root.account(name); ok && a.group != "" && isText(dir) {
			c.user, c.group, c.dir, c.mode = name, a.group, dir, mode
			return
		}
	}
}

// firstDir returns the first directory that exists, else the first.
func (m *Machine) firstDir(dirs ...string) string {
	for _, d := range dirs {
		if m.root.exists(d) {
			return d
		}
	}
	return dirs[0]
}

var (
	amavisUser = regexp.MustCompile(`\$daemon_user\s*=\s*` + perlString)
	amavisBase = regexp.MustCompile(`\$TEMPBASE\s*=\s*` + perlString)
	amavisHome = regexp.MustCompile(`\$MYHOME\s*=\s*` + perlString)
)

// ownerAmavis describes the parts of a mail: amavis' umask is 0027.
func ownerAmavis(m *Machine, file string, c *client) {
	dirs, users := []string{"/var/lib/amavis/tmp", "/var/spool/amavisd/tmp", "/var/spool/amavis/tmp"}, []string{"amavis", "vscan"}
	if data, _, err := m.root.read(file); err == nil {
		code := perlCode(string(data))
		if at := amavisUser.FindStringSubmatchIndex(code); at != nil {
			users = append([]string{firstGroup(code, at, 1, 2)}, users...)
		}
		if at := amavisBase.FindStringSubmatchIndex(code); at != nil {
			base := firstGroup(code, at, 1, 2)
			if home := amavisHome.FindStringSubmatchIndex(code); home != nil {
				base = strings.Replace(base, "$MYHOME", firstGroup(code, home, 1, 2), 1)
			}
			if strings.HasPrefix(base, "/") && !strings.Contains(base, "$") {
				dirs = []string{base}
			}
		}
	}
	c.owned(m, m.firstDir(dirs...), 0o640, users...)
}

func ownerExim(m *Machine, file string, c *client) {
	c.owned(m, m.firstDir("/var/spool/exim4/scan", "/var/spool/exim/scan"), 0o640, "Debian-exim", "exim", "mailnull")
}

func ownerClamsmtp(m *Machine, file string, c *client) {
	data, _, _ := m.root.read(file)
	all := settings(string(data), ":")
	dir := last(all, "tempdirectory").value
	if dir == "" {
		dir = "/tmp"
	}
	c.owned(m, dir, 0o640, last(all, "user").value, "clamsmtp")
}

func ownerMailScanner(m *Machine, file string, c *client) {
	data, _, _ := m.root.read(file)
	all := settings(string(data), "=")
	dir := last(all, "incoming work dir").value
	if !strings.HasPrefix(dir, "/") {
		dir = "/var/spool/MailScanner/incoming"
	}
	mode := uint32(0o600) // its default
	if n, err := strconv.ParseUint(last(all, "incoming work permissions").value, 8, 32); err == nil && n <= 0o777 {
		mode = uint32(n)
	}
	if c.owned(m, dir, mode, last(all, "run as user").value, "postfix"); c.user == "" {
		return
	}
	if group := last(all, "incoming work group").value; group != "" {
		if _, ok := m.root.groupNamed(group); ok {
			c.group = group
		}
	}
}

func ownerHavp(m *Machine, file string, c *client) {
	data, _, _ := m.root.read(file)
	all := settings(string(data), "")
	dir := "/var/spool/havp"
	if at := strings.LastIndexByte(last(all, "scantempfile").value, '/'); at > 0 {
		dir = last(all, "scantempfile").value[:at]
	}
	c.owned(m, dir, 0o640, last(all, "user").value, "havp")
}

// shellValue returns a variable that a file of /etc/default sets.
func (r root) shellValue(name string, files ...string) string {
	for _, file := range files {
		data, _, err := r.read(file)
		if err != nil {
			continue
		}
		if s := last(settings(string(data), "="), strings.ToLower(name)); s.line > 0 {
			return s.value
		}
	}
	return ""
}

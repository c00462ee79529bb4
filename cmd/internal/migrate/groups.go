package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// neededGroup is a group that polyclamd's user needs, and why.
type neededGroup struct{ name, why string }

// ourAccount is the name of polyclamd's user and group.
const ourAccount = "polyclam"

// clamdAccount returns the user that clamd runs as. Its name is "root" if nothing says
// otherwise.
func (m *Machine) clamdAccount() account {
	name := m.clamd.user.value
	if name == "" {
		if _, users := m.root.unitLines(m.clamdUnit(), "User"); len(users) > 0 {
			name = users[len(users)-1]
		}
	}
	if a, ok := m.root.account(name); ok {
		return a
	}
	if name != "" {
		return account{name: name, uid: -1, gid: -1}
	}
	return account{name: "root", group: "root"}
}

// lookGroups collects the groups with which polyclamd can do what clamd could: read the
// files of its clients, and connect to its socket.
func (m *Machine) lookGroups() {
	if m.clamd == nil {
		return
	}
	user := m.clamdAccount()
	var of []string
	if user.gid != 0 {
		// systemd and clamd 1.4.6 both take them from the group database (initgroups).
		for _, g := range m.root.allGroups() {
			if slices.Contains(g.members, user.name) && m.need(g, "clamd's user is a member") {
				of = append(of, g.name)
			}
		}
		if g, ok := m.root.groupNamed(user.group); ok && user.group != "" && m.need(g, "the group of clamd's user") {
			of = append(of, g.name)
		}
	}
	for _, l := range m.clamd.listeners {
		if g, ok := m.root.groupNamed(l.group); ok && l.group != "" {
			m.need(g, "the group of "+l.address)
		}
	}
	for _, c := range m.users {
		if g, ok := m.root.groupNamed(c.group); ok && c.group != "" {
			m.need(g, "the files of "+c.name)
		}
	}
	slices.SortFunc(m.needed, func(a, b neededGroup) int { return strings.Compare(a.name, b.name) })
	m.rowOfGroups(user, of)
}

// need adds a group, but neither polyclam's own nor root's. It reports whether the group
// is in the list.
func (m *Machine) need(g groupEntry, why string) bool {
	if g.gid == 0 || g.name == ourAccount {
		return false
	}
	if !slices.ContainsFunc(m.needed, func(n neededGroup) bool { return n.name == g.name }) {
		m.needed = append(m.needed, neededGroup{g.name, why})
	}
	return true
}

func (m *Machine) rowOfGroups(user account, of []string) {
	means := fmt.Sprintf("clamd runs as %s, groups %s", user.name, orNothing(of))
	if user.name == "root" {
		means = "clamd runs as root and reads every file; polyclamd does not"
	}
	used := "no: there are none"
	if len(m.needed) > 0 {
		used = "yes: SupplementaryGroups=" + strings.Join(m.groups(), " ")
	}
	where := "/etc/group"
	if m.clamd.user.value != "" {
		where = m.clamd.conf.source(m.clamd.user)
	}
	m.row("groups", where, means, used)
}

// Hints returns what the administrator should know about the clients before the switch.
func (m *Machine) Hints() (list []string) {
	for i := range m.users {
		if h := m.hint(&m.users[i]); h != "" {
			list = append(list, m.users[i].where+": "+h)
		}
	}
	return list
}

// hint returns what is wrong about a client, or nothing.
func (m *Machine) hint(c *client) string {
	user := m.clamdAccount()
	switch {
	case c.name == "clamonacc":
		return fmt.Sprintf("polyclamd opens files as its own user: add OnAccessExcludeUname %s to %s, or clamonacc waits for polyclamd, which waits for clamonacc.",
			ourAccount, m.clamd.conf.path)
	case !c.paths:
		return ""
	case c.user == "" && user.name == "root":
		return fmt.Sprintf("%s names files by their path. clamd reads them as root, but polyclamd runs as %s: let the client send streams or descriptors instead.", c.name, ourAccount)
	case c.user == "":
		return fmt.Sprintf("%s names files by their path: polyclamd must be able to read what %s could.", c.name, user.name)
	case c.mode&0o040 == 0:
		return fmt.Sprintf("%s names files that only its own user %s can read (mode %04o), so polyclamd cannot scan them.%s", c.name, c.user, c.mode, c.remedy())
	}
	return ""
}

// remedy says how a client's files become readable for its group.
func (c *client) remedy() string {
	switch c.name {
	case "MIMEDefang":
		return " Set MD_ALLOW_GROUP_ACCESS=yes in /etc/default/mimedefang (/etc/sysconfig on RHEL) and restart it, before the switch."
	case "MailScanner":
		return " Set Incoming Work Permissions = 0640 and restart it, before the switch."
	}
	return ""
}

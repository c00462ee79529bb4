package migrate

import (
	"strconv"
	"strings"
)

// account is a user of /etc/passwd.
type account struct {
	name     string
	uid, gid int
	group    string // the primary group's name; empty: it has none
}

// accounts of other sources, such as LDAP, are not seen: a daemon's user is local.
func (r root) account(name string) (a account, ok bool) {
	for _, f := range r.colons("/etc/passwd", 4) {
		uid, errUser := strconv.ParseUint(f[2], 10, 31)
		gid, errGroup := strconv.ParseUint(f[3], 10, 31)
		if f[0] != name || name == "" || errUser != nil || errGroup != nil {
			continue
		}
		a = account{name: name, uid: int(uid), gid: int(gid)}
		for _, g := range r.allGroups() {
			if g.gid == a.gid {
				a.group = g.name
				break
			}
		}
		return a, true
	}
	return a, false
}

// groupEntry is a line of /etc/group.
type groupEntry struct {
	name    string
	gid     int
	members []string
}

func (r root) allGroups() (list []groupEntry) {
	for _, f := range r.colons("/etc/group", 3) {
		gid, err := strconv.ParseUint(f[2], 10, 31)
		if err != nil || !isAccountName(f[0]) {
			continue
		}
		g := groupEntry{name: f[0], gid: int(gid)}
		if len(f) > 3 {
			g.members = strings.Split(f[3], ",")
		}
		list = append(list, g)
	}
	return list
}

// groupNamed returns a group by its name or number.
func (r root) groupNamed(name string) (g groupEntry, ok bool) {
	for _, g := range r.allGroups() {
		if g.name == name || strconv.Itoa(g.gid) == name {
			return g, true
		}
	}
	return g, false
}

// colons splits a file like /etc/passwd into fields, and drops lines with fewer.
func (r root) colons(file string, fewest int) (list [][]string) {
	data, _, err := r.read(file)
	if err != nil {
		return nil
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if f := strings.Split(line, ":"); len(f) >= fewest {
			list = append(list, f)
		}
	}
	return list
}

// isAccountName reports whether systemd and a shell take a name as it is.
func isAccountName(s string) bool {
	if s == "" || len(s) > 64 || s[0] == '-' {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return true
}

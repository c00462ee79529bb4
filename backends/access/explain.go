package access

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"strings"
)

// ModesAllow is the reason and the remedy if neither the modes nor access control lists
// deny access.
const ModesAllow = "the modes allow it, so AppArmor or SELinux denies it: see the kernel's log"

// String returns for example "the socket /run/clamav/clamd.ctl is 0660 clamav:clamav".
func (d *Denial) String() string { return d.describe(true) }

func (d *Denial) describe(withPath bool) string {
	what := "the file"
	switch {
	case d.Mode.IsDir():
		what = "the directory"
	case d.Mode.Type() == fs.ModeSocket:
		what = "the socket"
	}
	if withPath {
		what += " " + d.Path
	}
	return fmt.Sprintf("%s is %04o %s:%s", what, d.Mode.Perm(), UserName(d.UID), GroupName(d.GID))
}

// Remedy returns what the administrator of polyclamd, as which the user runs, can do.
func (d *Denial) Remedy() string {
	group, right := GroupName(d.GID), letters(d.Need)
	chmod := fmt.Sprintf("the program that made it must give its group the right (chmod g+%s)", right)
	switch {
	case d.Mode.Perm() == 0:
		return "if polyclamd's unit hides it (ProtectHome=, InaccessiblePaths=), allow it there"
	case d.Identity.allowed(d.Entry, d.Need) && d.Mode.IsRegular() && d.Need == Search:
		return "the mode allows it, so its file system is mounted with noexec, or an access control list, AppArmor or SELinux denies it"
	case d.Identity.allowed(d.Entry, d.Need):
		return "the mode allows it, so an access control list, AppArmor or SELinux denies it: see getfacl(1) and the kernel's log"
	case d.Identity.UID == d.UID:
		return fmt.Sprintf("the user itself lacks the right %s (chmod u+%s)", right, right)
	case d.Identity.isMember(d.GID):
		return chmod
	case d.GID == 0 && d.goal == Read: // no service should be in root's group
		return "it is root's own: let the client hand over the object instead (INSTREAM, or FILDES as by clamdscan --fdpass)"
	case d.GID == 0:
		return fmt.Sprintf("it belongs to root's group: the program that made it must give it another group, with the right (chmod g+%s)", right)
	case Need(d.Mode.Perm()>>3)&d.Need == d.Need:
		return supplement(group)
	}
	return chmod + ", and " + supplement(group)
}

func supplement(group string) string {
	return fmt.Sprintf("add SupplementaryGroups=%s to polyclamd's unit (systemctl edit polyclamd) and restart it", group)
}

func letters(need Need) string {
	var b strings.Builder
	for _, bit := range []struct {
		need   Need
		letter byte
	}{{Read, 'r'}, {Write, 'w'}, {Search, 'x'}} {
		if need&bit.need != 0 {
			b.WriteByte(bit.letter)
		}
	}
	return b.String()
}

// maxGroups bounds the groups that are named.
const maxGroups = 32

// String returns for example "polyclam (groups polyclam, clamav)".
func (id Identity) String() string {
	names := make([]string, 0, maxGroups)
	for _, gid := range id.GIDs[:min(len(id.GIDs), maxGroups)] {
		names = append(names, GroupName(gid))
	}
	return fmt.Sprintf("%s (groups %s)", UserName(id.UID), strings.Join(names, ", "))
}

// UserName returns the name of a user, or its number.
func UserName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return number
}

// GroupName returns the name of a group, or its number.
func GroupName(gid int) string {
	number := strconv.Itoa(gid)
	if g, err := user.LookupGroupId(number); err == nil {
		return g.Name
	}
	return number
}

package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links one path may lead through, as in the kernel.
const maxLinks = 40

// A Denial is why this process may not open a path: the directory or file on the way to it
// that keeps the process out. Its texts are for a log, and raw.
type Denial struct {
	Process string // "user polyclam, groups polyclam, clamav"
	Subject string // "directory /var/spool/x is 0700 defang:defang"; empty: the modes allow it
	Remedy  string
}

// Denied returns why path, which must be absolute, may not be opened for reading. It fails
// if a file system or a directory of users does not answer in time, or if the path has
// changed meanwhile.
func (p *Pool) Denied(ctx context.Context, path string) (Denial, error) {
	return Do(ctx, p, "examining the path", func() (Denial, error) { return denied(path) }, nil)
}

func denied(name string) (Denial, error) {
	d := Denial{Process: processIdentity()}
	at, links := "/", 0
	rest := strings.Split(name, "/")
	for {
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			return d, err
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			target, err := os.Readlink(at)
			if links++; err != nil || links > maxLinks {
				return d, errors.Join(err, unix.ELOOP)
			}
			rest = append(strings.Split(target, "/"), rest...)
			if at = path.Dir(at); path.IsAbs(target) {
				at = "/"
			}
			continue
		}
		rest = slices.DeleteFunc(rest, func(s string) bool { return s == "" || s == "." })
		if err := mayOpen(at, &st, len(rest) > 0); err != nil {
			d.explain(at, &st, len(rest) > 0)
			return d, nil
		}
		if len(rest) == 0 {
			d.Remedy = "the modes allow it, so a security module forbids it: see AppArmor or SELinux in the kernel's log"
			return d, nil
		}
		at, rest = path.Join(at, rest[0]), rest[1:]
	}
}

// mayOpen returns an error if this process may not open at, or if it is on the way to
// another file, search it.
func mayOpen(at string, st *unix.Stat_t, onTheWay bool) error {
	need := uint32(unix.R_OK)
	switch {
	case onTheWay:
		need = unix.X_OK
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		need = unix.R_OK | unix.X_OK
	}
	return unix.Faccessat(unix.AT_FDCWD, at, need, unix.AT_EACCESS)
}

// explain describes the file or directory that keeps this process out, and the remedy.
func (d *Denial) explain(at string, st *unix.Stat_t, onTheWay bool) {
	kind, right, bits := "file", "r", uint32(unix.S_IRGRP)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		kind, right, bits = "directory", "rx", unix.S_IRGRP|unix.S_IXGRP
		if onTheWay {
			right, bits = "x", unix.S_IXGRP
		}
	}
	group := groupName(st.Gid)
	d.Subject = fmt.Sprintf("the %s %s is %04o %s:%s", kind, at, st.Mode&0o7777, userName(st.Uid), group)
	switch {
	case st.Mode&0o777 == 0:
		d.Remedy = "if the unit hides it from polyclamd (ProtectHome=, InaccessiblePaths=), allow it there"
	case st.Gid == 0 && !inGroup(0): // no service should be in root's group
		d.Remedy = "it is root's own: let the client hand over the object instead (INSTREAM, or FILDES as by clamdscan --fdpass)"
	case st.Mode&bits != bits && inGroup(st.Gid):
		d.Remedy = fmt.Sprintf("let its owner give the group %s (chmod g+%s)", right, right)
	case st.Mode&bits != bits:
		d.Remedy = fmt.Sprintf("let its owner give the group %s (chmod g+%s), and add SupplementaryGroups=%s to polyclamd's unit", right, right, group)
	case inGroup(st.Gid):
		d.Remedy = "polyclamd is in the group, so an access control list forbids it: see getfacl(1)"
	default:
		d.Remedy = fmt.Sprintf("add SupplementaryGroups=%s to polyclamd's unit and restart it", group)
	}
}

// processIdentity names the user and the groups of this process.
func processIdentity() string {
	var names []string
	for _, gid := range groups() {
		names = append(names, groupName(gid))
	}
	return fmt.Sprintf("user %s, groups %s", userName(uint32(os.Geteuid())), strings.Join(names, ", "))
}

// groups returns the groups of this process, its own first.
func groups() []uint32 {
	all := []uint32{uint32(os.Getegid())}
	more, _ := os.Getgroups()
	for _, gid := range more {
		if !slices.Contains(all, uint32(gid)) {
			all = append(all, uint32(gid))
		}
	}
	return all
}

func inGroup(gid uint32) bool { return slices.Contains(groups(), gid) }

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

func groupName(gid uint32) string {
	id := strconv.FormatUint(uint64(gid), 10)
	if g, err := user.LookupGroupId(id); err == nil {
		return g.Name
	}
	return id
}

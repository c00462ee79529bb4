// Package access tells from the owners and modes of files whether another user may use
// them, and what would change that. It does not read access control lists.
package access

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Identity is a user with its groups.
type Identity struct {
	UID  int
	GIDs []int
}

// Need is what a user wants to do: the bits of a mode.
type Need fs.FileMode

// The needs.
const (
	Search Need = 1 // of a directory
	Write  Need = 2 // also: connect to a socket
	Read   Need = 4
)

// Entry is a file, socket or directory, which need not exist.
type Entry struct {
	Path     string
	UID, GID int
	Mode     fs.FileMode // with its type
}

// Denial is the first entry on a path that does not allow a user what it needs.
type Denial struct {
	Entry
	Need Need
}

// Stat returns the entry at a path. It follows a symbolic link.
func Stat(path string) (Entry, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Entry{}, err
	}
	e := Entry{Path: path, Mode: info.Mode()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.UID, e.GID = int(st.Uid), int(st.Gid)
	}
	return e, nil
}

// Check returns what keeps the user from the file at a path, or nil. The error says why
// that cannot be found out, for example because this process may not look.
func (id Identity) Check(path string, need Need) (*Denial, error) {
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	e, err := Stat(resolved)
	if err != nil {
		return nil, err
	}
	return id.CheckEntry(e, need)
}

// CheckEntry is Check for an entry that need not exist, in a directory that does.
func (id Identity) CheckEntry(e Entry, need Need) (*Denial, error) {
	dir, err := filepath.EvalSymlinks(filepath.Dir(e.Path))
	if err != nil {
		return nil, err
	}
	for _, d := range above(dir) {
		entry, err := Stat(d)
		if err != nil {
			return nil, err
		}
		if !id.may(entry, Search) {
			return &Denial{entry, Search}, nil
		}
	}
	if !id.may(e, need) {
		return &Denial{e, need}, nil
	}
	return nil, nil
}

// above returns the root directory, and every directory on the way to dir.
func above(dir string) []string {
	list := []string{dir}
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		list = append(list, dir)
	}
	slices.Reverse(list)
	return list
}

// may is the kernel's decision, see path_resolution(7).
func (id Identity) may(e Entry, need Need) bool {
	bits := Need(e.Mode.Perm())
	switch {
	case id.UID == 0:
		return true
	case id.UID == e.UID:
		bits >>= 6
	case slices.Contains(id.GIDs, e.GID):
		bits >>= 3
	}
	return bits&need == need
}

// String returns for example "the socket /run/clamav/clamd.ctl is 0660 clamav:clamav".
func (d *Denial) String() string {
	what := "file"
	switch {
	case d.Mode.IsDir():
		what = "directory"
	case d.Mode&fs.ModeSocket != 0:
		what = "socket"
	}
	return fmt.Sprintf("the %s %s is %04o %s:%s", what, d.Path, d.Mode.Perm(), UserName(d.UID), GroupName(d.GID))
}

// Remedy returns what the administrator can do.
func (d *Denial) Remedy() string {
	group := GroupName(d.GID)
	if Need(d.Mode.Perm()>>3)&d.Need == d.Need && d.GID != 0 {
		return fmt.Sprintf("SupplementaryGroups=%s in polyclamd's unit (systemctl edit polyclamd), then restart it", group)
	}
	var bits strings.Builder
	for _, b := range []struct {
		need Need
		name string
	}{{Read, "r"}, {Write, "w"}, {Search, "x"}} {
		if d.Need&b.need != 0 {
			bits.WriteString(b.name)
		}
	}
	return fmt.Sprintf("its group has no right to it either: chmod g+%s %s or the setting of its program that does so, and SupplementaryGroups=%s in polyclamd's unit", bits.String(), d.Path, group)
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

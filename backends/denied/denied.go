// Package denied explains why a path cannot be used: which file or directory on the way
// denies it, as which user and groups this process asks, and what would help. It looks
// only at the path itself and at /etc/passwd and /etc/group.
package denied

import (
	"errors"
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

// An Access is what a process needs to do with a file.
type Access uint32

// The kinds of access; the values are those of access(2).
const (
	Read    Access = 4
	Connect Access = 2 // to a socket: write permission
	search  Access = 1 // of a directory
)

// Explain explains why access to path fails with "permission denied". It does not repeat
// the path itself.
func Explain(path string, want Access) string {
	what, a, info := obstacle(path, want)
	if info == nil {
		return "permission denied: " + whoami() + ", and the modes would allow it, so AppArmor or SELinux denies it"
	}
	uid, gid, mode := ownership(info)
	text := fmt.Sprintf("permission denied: %s is %04o %s:%s, and %s; ", what, mode, userName(uid), groupName(gid), whoami())
	switch bits := fs.FileMode(a); {
	case mode>>3&bits == bits && !isMember(gid):
		return text + "add SupplementaryGroups=" + groupName(gid) + " to its unit and restart it"
	case mode>>3&bits == bits:
		return text + "an access list, AppArmor or SELinux denies it"
	}
	return text + "its group may not use it either, so change its mode"
}

// Missing returns the first directory on the way to path that does not exist, or "" if
// only path itself is missing.
func Missing(path string) string {
	for _, dir := range parents(path) {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			return dir
		}
	}
	return ""
}

// obstacle returns the first part of path that denies access, and what is denied there.
// The info is nil if there is none.
func obstacle(path string, want Access) (what string, a Access, info fs.FileInfo) {
	for _, dir := range parents(path) {
		info, err := os.Stat(dir)
		if err != nil {
			return "", 0, nil
		}
		if !allows(dir, search) {
			return "the directory " + dir, search, info
		}
	}
	info, err := os.Stat(path)
	if err != nil || allows(path, want) {
		return "", 0, nil
	}
	if info.Mode().Type() == fs.ModeSocket {
		return "the socket", want, info
	}
	return "the file", want, info
}

// parents returns the directories on the way to path, from the root on.
func parents(path string) []string {
	var dirs []string
	for dir := filepath.Dir(filepath.Clean(path)); ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == filepath.Dir(dir) {
			slices.Reverse(dirs)
			return dirs
		}
	}
}

func allows(path string, a Access) bool {
	return syscall.Access(path, uint32(a)) == nil
}

func ownership(info fs.FileInfo) (uid, gid uint32, mode fs.FileMode) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid, gid = st.Uid, st.Gid
	}
	return uid, gid, info.Mode().Perm()
}

// whoami names the user and the groups of this process: "polyclamd runs as polyclam
// (groups polyclam, adm)".
func whoami() string {
	var names []string
	for _, gid := range groups() {
		names = append(names, groupName(uint32(gid)))
	}
	return fmt.Sprintf("%s runs as %s (groups %s)", filepath.Base(os.Args[0]), userName(uint32(os.Geteuid())), strings.Join(names, ", "))
}

// maxGroups bounds the groups that are named.
const maxGroups = 32

func groups() []int {
	all := []int{os.Getegid()}
	more, _ := os.Getgroups()
	for _, gid := range more {
		if !slices.Contains(all, gid) {
			all = append(all, gid)
		}
	}
	return all[:min(len(all), maxGroups)]
}

func isMember(gid uint32) bool {
	more, _ := os.Getgroups()
	return uint32(os.Getegid()) == gid || slices.Contains(more, int(gid))
}

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

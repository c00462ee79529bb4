package access

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Self returns the user and the groups of this process, its own group first.
func Self() Identity {
	id := Identity{os.Geteuid(), []int{os.Getegid()}}
	more, _ := os.Getgroups()
	for _, gid := range more {
		if !id.isMember(gid) {
			id.GIDs = append(id.GIDs, gid)
		}
	}
	return id
}

// CheckSelf returns what keeps this process from the file at a path, or nil if nothing does
// that it can name. It asks the kernel, which knows access control lists and mounts too.
func CheckSelf(path string, need Need) (*Denial, error) {
	_, d, err := Self().walk(path, need, kernelAllows)
	return d, err
}

func kernelAllows(e Entry, need Need) bool {
	const (
		atFdcwd   = -0x64 // AT_FDCWD
		atEaccess = 0x200 // AT_EACCESS: the effective user, as open(2) uses
	)
	return syscall.Faccessat(atFdcwd, e.Path, uint32(need), atEaccess) == nil
}

// Explain explains why this process may not use a path. It does not repeat the path itself.
func Explain(path string, need Need) string {
	d, err := CheckSelf(path, need)
	runs := filepath.Base(os.Args[0]) + " runs as " + Self().String()
	switch {
	case err != nil: // the path has just changed
		return "permission denied: " + runs
	case d == nil:
		return "permission denied: " + runs + ", and " + ModesAllow
	}
	return "permission denied: " + d.describe(d.Path != path) + ", and " + runs + "; " + d.Remedy()
}

// Missing returns the first directory on the way to path that does not exist, or "" if
// only path itself is missing.
func Missing(path string) string {
	missing := ""
	for dir := filepath.Dir(filepath.Clean(path)); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			missing = dir
		}
		if dir == filepath.Dir(dir) {
			return missing
		}
	}
}

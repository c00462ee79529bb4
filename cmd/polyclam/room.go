package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"polyclam/backends/access"
	"polyclam/cmd/internal/size"
)

// spoolHint ends findings about the spool directory.
const spoolHint = "under systemd, StateDirectory= or ReadWritePaths= in polyclamd's unit, and then a restart"

// spool reports a spool directory that polyclamd cannot use.
func (in *inspection) spool() []finding {
	dir := in.file.Spool().Dir
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return in.missingSpool(dir)
	case err != nil:
		return nil // this user may not look
	case !info.IsDir():
		return []finding{{fmt.Sprintf("the spool directory %s is not a directory: choose another one for [spool] directory", dir), exitFound}}
	case !in.known:
		return nil
	}
	denied, err := in.identity.Check(dir, access.Write|access.Search)
	if err != nil || denied == nil {
		return nil
	}
	return []finding{{fmt.Sprintf("%s cannot write to the spool directory: %s: chown %s %s", who(&in.daemon.Server), denied, in.daemon.User, dir), exitFound}}
}

// missingSpool reports a spool directory that does not exist, unless polyclamd can make it.
func (in *inspection) missingSpool(dir string) []finding {
	parent := filepath.Dir(dir)
	for !exists(parent) && parent != filepath.Dir(parent) {
		parent = filepath.Dir(parent)
	}
	f := finding{fmt.Sprintf("the spool directory %s does not exist: polyclamd makes it if its user may write to %s; otherwise make it for that user (%s)", dir, parent, spoolHint), exitOK}
	if errors.Is(unix.Access(parent, unix.W_OK), unix.EROFS) {
		return []finding{{fmt.Sprintf("the spool directory %s does not exist, and %s is read-only: choose another directory, or mount it writable", dir, parent), exitFound}}
	}
	if !in.known {
		return []finding{f}
	}
	denied, err := in.identity.Check(parent, access.Write|access.Search)
	switch {
	case err == nil && denied == nil && owner(parent) == in.identity.UID:
		return nil // systemd has made the parent for polyclamd: StateDirectory=
	case err == nil && denied != nil:
		f = finding{fmt.Sprintf("the spool directory %s does not exist, and %s cannot make it: %s: install -d -o %s -m 0750 %s (%s)",
			dir, who(&in.daemon.Server), denied, in.daemon.User, dir, spoolHint), exitFound}
	}
	return []finding{f}
}

// owner returns the user of a directory, or -1.
func owner(dir string) int {
	info, err := os.Stat(dir)
	if err != nil {
		return -1
	}
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

// memory reports that the running polyclamd may need more memory than it gets.
func (in *inspection) memory() []finding {
	if in.daemon == nil || in.daemon.MemoryLimit == 0 || in.daemon.MemoryNeeded <= in.daemon.MemoryLimit {
		return nil
	}
	d := in.daemon
	return []finding{{fmt.Sprintf("polyclamd may need %s of memory, but %s is %s, above which the kernel ends it: lower limits.spool_total or limits.connections (polyclamd --check lists what needs it), or raise the limit (MemoryMax= in its unit)",
		size.MiB(d.MemoryNeeded), d.MemoryLimitFrom, size.MiB(d.MemoryLimit)), exitFound}}
}

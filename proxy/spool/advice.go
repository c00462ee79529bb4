package spool

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// remedies lists what to do about errors of the store.
var remedies = []struct {
	err  syscall.Errno
	text string
}{
	{unix.EMFILE, "raise LimitNOFILE= in the unit, or lower limits.connections"},
	{unix.ENFILE, "raise the sysctl fs.file-max"},
	{unix.ENOSPC, "free space where [spool] directory is, lower limits.spool_total, or name another directory"},
	{unix.EDQUOT, "raise the disk quota of polyclamd's user, or lower limits.spool_total"},
	{unix.EROFS, "the file system of [spool] directory is read-only, perhaps after a disk error: see the kernel's log"},
	{unix.EIO, "the disk of [spool] directory has errors: see the kernel's log"},
	{unix.EFBIG, "the file size limit is too low for limits.stream: raise LimitFSIZE= in the unit"},
	{unix.ENOMEM, "raise MemoryMax= in the unit, or lower limits.spool_total"},
}

// advice returns what to do about err, in parentheses, or "" if that is unknown.
func advice(err error) string {
	for _, h := range remedies {
		if errors.Is(err, h.err) {
			return " (" + h.text + ")"
		}
	}
	return ""
}

package spool

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// helps says what helps against an error of the store.
var helps = []struct {
	err  syscall.Errno
	text string
}{
	{unix.EMFILE, "raise LimitNOFILE= in the unit, or lower limits.connections"},
	{unix.ENFILE, "raise the sysctl fs.file-max"},
	{unix.ENOSPC, "free space where [spool] directory is, lower limits.spool_total, or name another directory"},
	{unix.EDQUOT, "raise the disk quota of polyclamd's user, or lower limits.spool_total"},
	{unix.EROFS, "[spool] directory is on a file system that is read-only: after an error of the disk, see the kernel's log"},
	{unix.EIO, "the disk of [spool] directory fails: see the kernel's log"},
	{unix.EFBIG, "the limit on the size of files is too low for limits.stream: raise LimitFSIZE= in the unit"},
	{unix.ENOMEM, "raise MemoryMax= in the unit, or lower limits.spool_total"},
}

// advice is what helps against err, in parentheses; empty if nothing is known.
func advice(err error) string {
	for _, h := range helps {
		if errors.Is(err, h.err) {
			return " (" + h.text + ")"
		}
	}
	return ""
}

package spool

import (
	"errors"
	"fmt"
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

// directoryRemedies lists what to do about errors of creating and using the directory. Where
// systemd makes the file system read-only, only a restart changes that.
var directoryRemedies = []struct {
	err  syscall.Errno
	text string
}{
	{unix.EROFS, "polyclamd may not write there: under systemd, add the directory to ReadWritePaths= of the unit, or use one below StateDirectory=, and restart polyclamd; in a container, mount a volume"},
	{unix.EACCES, "polyclamd's user may not write there: give it the directory with install -d -o polyclam -g polyclam -m 0711; under systemd, StateDirectory=polyclam creates /var/lib/polyclam at the next restart"},
	{unix.ENOTDIR, "a part of the path is a file: name another directory"},
	{unix.ELOOP, "symbolic links form a loop: name another directory"},
}

// adviseDirectory adds what to do to an error of the directory.
func adviseDirectory(err error) error {
	for _, h := range directoryRemedies {
		if errors.Is(err, h.err) {
			return fmt.Errorf("%w (%s)", err, h.text)
		}
	}
	return err
}

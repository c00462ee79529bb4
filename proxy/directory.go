package proxy

import (
	"cmp"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxEntries are the names of one directory that are held at once.
const maxEntries = 1 << 20

// entry is one file or directory in a directory.
type entry struct {
	name  string
	inode uint64
	dir   bool
	err   error // it could not be looked at
}

// directory is an open directory, an *os.File.
type directory interface {
	Readdirnames(n int) ([]string, error)
	Fd() uintptr
}

// readDirectory lists the files and directories in dir in clamd's order. With an
// error it returns what it could read.
func readDirectory(dir directory) ([]entry, error) {
	var entries []entry
	for {
		names, err := dir.Readdirnames(1024)
		for _, name := range names {
			entries = appendEntry(entries, dir, name)
		}
		if err != nil || len(entries) >= maxEntries {
			slices.SortFunc(entries, compareEntries)
			if len(entries) >= maxEntries {
				return entries, syscall.EOVERFLOW
			}
			return entries, notEOF(err)
		}
	}
}

// appendEntry adds what is a file or a directory itself, not by a link. What is
// gone since it was listed is left out; what cannot be looked at is not.
func appendEntry(entries []entry, dir directory, name string) []entry {
	var st unix.Stat_t
	err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	kind := st.Mode & unix.S_IFMT
	if err == unix.ENOENT || err == nil && kind != unix.S_IFREG && kind != unix.S_IFDIR {
		return entries
	}
	return append(entries, entry{name, st.Ino, kind == unix.S_IFDIR, err})
}

// compareEntries sorts files before directories, and lower inodes before higher.
func compareEntries(a, b entry) int {
	switch {
	case a.dir != b.dir && a.dir:
		return 1
	case a.dir != b.dir:
		return -1
	}
	return cmp.Or(cmp.Compare(a.inode, b.inode), cmp.Compare(a.name, b.name))
}

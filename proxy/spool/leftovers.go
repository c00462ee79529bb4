package spool

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// removeLeftovers removes what daemons that are gone left in parent: the
// subdirectories of our name and owner that nobody has locked. It does what it
// can: a leftover that cannot be removed does not hinder a start, and whether
// the directory works at all is proved elsewhere.
func removeLeftovers(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), subPrefix) {
			removeLeftover(filepath.Join(parent, e.Name()))
		}
	}
}

func removeLeftover(path string) {
	sub, err := lock(path)
	if sub == nil || err != nil {
		return
	}
	defer sub.Close()
	// In a directory such as /tmp others may make what looks like ours.
	var st unix.Stat_t
	if unix.Fstat(int(sub.Fd()), &st) != nil || int(st.Uid) != os.Geteuid() {
		return
	}
	removeFiles(sub)
}

// removeFiles removes what is ours in sub, and sub itself unless something else is
// left in it.
func removeFiles(sub *os.File) {
	names, err := sub.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, filePrefix) {
			os.RemoveAll(filepath.Join(sub.Name(), name)) // backends make directories of that name, too
		}
	}
	os.Remove(sub.Name())
}

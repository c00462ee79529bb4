package spool

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// removeLeftovers removes what earlier processes left in parent: unlocked subdirectories with
// polyclam's prefix and owner. It ignores errors: a leftover that cannot be removed does not
// prevent a start, and probe checks that the directory works.
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
	// In a directory such as /tmp other users can use the same prefix.
	var st unix.Stat_t
	if unix.Fstat(int(sub.Fd()), &st) != nil || int(st.Uid) != os.Geteuid() {
		return
	}
	removeFiles(sub)
}

// removeFiles removes polyclam's files in sub, and sub itself unless something else is left
// in it.
func removeFiles(sub *os.File) {
	names, err := sub.Readdirnames(-1)
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, filePrefix) {
			os.RemoveAll(filepath.Join(sub.Name(), name)) // backends create directories with this prefix, too
		}
	}
	os.Remove(sub.Name())
}

package live

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// prefix begins the names of a machine's folder and cgroups. The process ID of its test
// follows.
const prefix = "pclive"

// sweep removes what machines left whose tests were killed: folders, and cgroups in the
// hierarchies of this process. The kernel has removed the rest.
func sweep() error {
	parents, err := hierarchies()
	if err != nil {
		parents = nil // Start says so
	}
	var failed error
	for _, cgroup := range abandoned(parents...) {
		failed = errors.Join(failed, removeCgroups([]string{cgroup}))
	}
	for _, dir := range abandoned(os.TempDir()) {
		failed = errors.Join(failed, os.RemoveAll(dir))
	}
	return failed
}

// abandoned returns what belongs to tests that no longer run.
func abandoned(parents ...string) (paths []string) {
	for _, parent := range parents {
		found, _ := filepath.Glob(filepath.Join(parent, prefix+"*-*"))
		for _, path := range found {
			pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(path), prefix), "-")
			n, err := strconv.Atoi(pid)
			if err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

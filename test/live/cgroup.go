package live

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// makeCgroups makes a cgroup for a machine in each hierarchy that systemd manages units
// in: two machines in the same would take each other's units for their own.
func makeCgroups(name string) (made []string, err error) {
	parents, err := hierarchies()
	if err != nil {
		return nil, err
	}
	for _, parent := range parents {
		dir := filepath.Join(parent, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, errors.Join(err, removeCgroups(made))
		}
		made = append(made, dir)
	}
	return made, nil
}

// hierarchies returns this process' own cgroup in each hierarchy that systemd manages
// units in.
func hierarchies() (dirs []string, err error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(own)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		var mount string
		switch {
		case len(parts) != 3:
			continue
		case parts[1] == "name=systemd":
			mount = "/sys/fs/cgroup/systemd"
		case parts[0] == "0" && exists("/sys/fs/cgroup/cgroup.procs"):
			mount = "/sys/fs/cgroup"
		case parts[0] == "0" && exists("/sys/fs/cgroup/unified/cgroup.procs"):
			mount = "/sys/fs/cgroup/unified"
		default:
			continue
		}
		dirs = append(dirs, filepath.Join(mount, parts[2]))
	}
	if len(dirs) == 0 {
		return nil, errors.New("no cgroup file system is mounted")
	}
	return dirs, nil
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// removeCgroups removes cgroups with everything in them, when their processes have ended.
func removeCgroups(list []string) error {
	var failed error
	for _, top := range list {
		var dirs []string
		filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			failed = errors.Join(failed, removeCgroup(dir))
		}
	}
	return failed
}

// removeCgroup removes an empty cgroup. Killed processes leave it with a delay.
func removeCgroup(dir string) error {
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		err := syscall.Rmdir(dir)
		if err == nil || errors.Is(err, syscall.ENOENT) {
			return nil
		}
		if time.Now().After(end) {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
	}
}

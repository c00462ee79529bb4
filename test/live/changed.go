package live

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// volatile are the folders in which packages and daemons may leave what they like, and
// files that change with every installation.
var volatile = []string{
	"/var/cache/", "/var/lib/PackageKit/", "/var/lib/apt/", "/var/lib/clamav/", "/var/lib/dpkg/", "/var/lib/systemd/", "/var/log/", "/var/spool/", "/var/tmp/", "/var/lib/rspamd/", "/var/lib/amavis/",
	"/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/root/", "/tmp/", "/run/",
}

// Changed describes every file that differs from those of this machine, by path: what
// the machine has written since it booted, but for volatile files.
func (m *Machine) Changed() map[string]string {
	m.t.Helper()
	// systemd-nspawn is in the mount namespace that has the overlay.
	nspawn, err := onlyChild(m.proc.PID())
	if err != nil {
		m.t.Fatal(err)
	}
	upper := fmt.Sprintf("/proc/%d/root%s", nspawn, filepath.Join(m.dir, "disk", "upper"))
	changed := map[string]string{}
	err = filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, upper)
		for _, v := range volatile {
			if strings.HasPrefix(name+"/", v) || strings.HasPrefix(name, v) {
				return nil
			}
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			changed[name], err = describe(path, info)
		}
		return err
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return changed
}

// describe is a file's mode, owner and content. A folder counts without its time.
func describe(path string, info fs.FileInfo) (string, error) {
	s := info.Sys().(*syscall.Stat_t)
	text := fmt.Sprintf("%v %d:%d", info.Mode(), s.Uid, s.Gid)
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		return fmt.Sprintf("%s %x", text, sha256.Sum256(data)), err
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return text + " " + target, err
	case info.Mode()&fs.ModeCharDevice != 0 && s.Rdev == 0:
		return "removed", nil
	}
	return text, nil
}

// Differences lists what differs between two results of [Machine.Changed].
func Differences(before, after map[string]string) (list []string) {
	for _, path := range slices.Sorted(maps.Keys(after)) {
		switch old, had := before[path]; {
		case !had && after[path] == original(path):
		// What another program on this machine has made meanwhile, the machine has not.
		case !had && after[path] == "removed" && strings.Contains(path, "polyclam"):
		case !had:
			list = append(list, "new: "+path+" "+after[path])
		case old != after[path]:
			list = append(list, "changed: "+path+": "+old+" -> "+after[path])
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, has := after[path]; !has {
			list = append(list, "gone: "+path)
		}
	}
	return list
}

// original describes a file as this machine has it, below the overlay.
func original(path string) string {
	info, err := os.Lstat(path)
	if err != nil {
		return "removed"
	}
	text, err := describe(path, info)
	if err != nil {
		return err.Error()
	}
	return text
}

package machine

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// A group is a control group, as a directory in the file system.
type group struct {
	name string // as in /proc/self/cgroup
	dir  string // without the first slash, for an fs.FS
}

// groups returns the control groups of this process for a controller, from its own to
// the root. The controller may be in either hierarchy, so it looks in both.
func groups(root fs.FS, controller string) []group {
	text, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	var found []group
	for line := range strings.Lines(string(text)) {
		// 4:memory:/system.slice in version 1, 0::/system.slice in version 2
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(parts) != 3 {
			continue
		}
		v2 := parts[0] == "0" && parts[1] == ""
		if !v2 && !slices.Contains(strings.Split(parts[1], ","), controller) {
			continue
		}
		if m, ok := findMount(root, controller, v2); ok {
			found = append(found, m.above(parts[2])...)
		}
	}
	return found
}

// A mount says where a group of a hierarchy is mounted.
type mount struct{ group, dir string }

// findMount finds a hierarchy in /proc/self/mountinfo, see proc(5).
func findMount(root fs.FS, controller string, v2 bool) (mount, bool) {
	text, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return mount{}, false
	}
	for line := range strings.Lines(string(text)) {
		left, right, _ := strings.Cut(line, " - ")
		place, fsys := strings.Fields(left), strings.Fields(right)
		if len(place) < 5 || len(fsys) < 3 {
			continue
		}
		is := fsys[0] == "cgroup2"
		if !v2 {
			is = fsys[0] == "cgroup" && slices.Contains(strings.Split(fsys[2], ","), controller)
		}
		if is {
			return mount{unescape(place[3]), unescape(place[4])}, true
		}
	}
	return mount{}, false
}

// above returns the group of that name and its mounted ancestors. In a container the name
// may be outside the mount: then the mounted group is the container's own. Both names are
// relative to the process's namespace, and begin with "/.." outside it.
func (m mount) above(name string) []group {
	below, ok := strings.CutPrefix(name, strings.TrimSuffix(m.group, "/"))
	if !ok || below != "" && below[0] != '/' || slices.Contains(strings.Split(below, "/"), "..") {
		below = ""
	}
	var found []group
	for below = strings.Trim(path.Clean("/"+below), "/"); ; below = strings.TrimPrefix(path.Dir("/"+below), "/") {
		found = append(found, group{
			name: path.Join("/", m.group, below),
			dir:  strings.TrimPrefix(path.Join(m.dir, below), "/"),
		})
		if below == "" {
			return found
		}
	}
}

// unescape decodes the escapes in mountinfo.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

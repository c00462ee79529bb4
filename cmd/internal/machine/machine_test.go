package machine

import (
	"os"
	"testing"
	"testing/fstest"
)

// tree returns a file system of files by their names.
func tree(files map[string]string) fstest.MapFS {
	root := fstest.MapFS{}
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

const (
	meminfo = "MemTotal:       24684096 kB\nMemFree:        16928592 kB\nMemAvailable:   2000 kB\n"
	mountV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
		"36 31 0:33 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
)

func TestMemory(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		held  int64
		want  Limit
	}{
		{"nothing is known", nil, 0, None},
		{"what is free", map[string]string{"proc/meminfo": meminfo}, 0, Limit{2000 << 10, "MemAvailable", false}},
		{"what is free, and our own", map[string]string{"proc/meminfo": meminfo, "proc/self/status": "Name:\tx\nVmRSS:\t     500 kB\n"}, 3,
			Limit{2500<<10 + 3, "MemAvailable", false}},
		{"version 2", map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "proc/self/mountinfo": mountV2, "proc/meminfo": meminfo,
			"sys/fs/cgroup/a.slice/b.service/memory.max":  "max\n",
			"sys/fs/cgroup/a.slice/b.service/memory.high": "1000\n",
			"sys/fs/cgroup/a.slice/memory.max":            "2000\n",
		}, 0, Limit{1000, "memory.high of /a.slice/b.service", true}},
		{"the group above is smaller", map[string]string{
			"proc/self/cgroup": "0::/a.slice/b.service\n", "proc/self/mountinfo": mountV2, "proc/meminfo": meminfo,
			"sys/fs/cgroup/a.slice/b.service/memory.max": "1000\n",
			"sys/fs/cgroup/a.slice/memory.max":           "500\n",
		}, 0, Limit{500, "memory.max of /a.slice", true}},
		{"a container with a namespace of its own", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": mountV2, "proc/meminfo": meminfo,
			"sys/fs/cgroup/memory.max": "700\n",
		}, 0, Limit{700, "memory.max of /", true}},
		{"a group above the namespace", map[string]string{
			"proc/self/cgroup": "0::/../../x\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/memory.max": "700\n",
		}, 0, Limit{700, "memory.max of /", true}},
		{"a group and a mount outside the namespace", map[string]string{
			"proc/self/cgroup": "4:memory:/../../system.slice/p.service\n", "proc/self/mountinfo": "35 31 0:32 /../.. /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/system.slice/p.service/memory.limit_in_bytes": "700\n",
		}, 0, Limit{700, "memory.limit_in_bytes of /system.slice/p.service", true}},
		{"version 1", map[string]string{
			"proc/self/cgroup": "9:name=systemd:/\n4:memory:/a/b\n1:cpu:/\n0::/\n", "proc/self/mountinfo": mountV1 + mountV2,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "268435456\n",
		}, 0, Limit{268435456, "memory.limit_in_bytes of /a", true}},
		{"version 1, of a group that is not seen", map[string]string{
			"proc/self/cgroup": "4:memory:/docker/x\n", "proc/self/mountinfo": "35 31 0:32 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/memory.stat":           "cache 1\nhierarchical_memory_limit 900\n",
		}, 0, Limit{900, "hierarchical_memory_limit of /docker/x", true}},
		{"version 1 and 2 together", map[string]string{
			"proc/self/cgroup": "4:cpu,memory:/a\n0::/b\n", "proc/self/mountinfo": "35 31 0:32 / /m rw - cgroup cgroup rw,cpu,memory\n" + mountV2,
			"m/a/memory.limit_in_bytes":  "900\n",
			"sys/fs/cgroup/b/memory.max": "800\n",
		}, 0, Limit{800, "memory.max of /b", true}},
		{"a mount with a blank", map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": `30 23 0:26 / /c\040g rw - cgroup2 cgroup2 rw` + "\n",
			"c g/memory.max": "5\n",
		}, 0, Limit{5, "memory.max of /", true}},
		{"garbage", map[string]string{
			"proc/self/cgroup": "x\n::\n0::\n", "proc/self/mountinfo": "\n - \n1 2 - cgroup2\n" + mountV2,
			"sys/fs/cgroup/memory.max": "-5\n", "proc/meminfo": "MemAvailable: much\nMemAvailable:\n",
		}, 0, None},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := memory(tree(test.files), test.held); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

func TestTasks(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  Limit
	}{
		"none": {nil, None},
		"version 2": {map[string]string{
			"proc/self/cgroup": "0::/a/b\n", "proc/self/mountinfo": mountV2,
			"sys/fs/cgroup/a/b/pids.max": "max\n", "sys/fs/cgroup/a/pids.max": "512\n",
		}, Limit{512, "pids.max of /a", true}},
		"version 1": {map[string]string{
			"proc/self/cgroup": "8:pids:/a\n", "proc/self/mountinfo": mountV1,
			"sys/fs/cgroup/pids/a/pids.max": "100\n",
		}, Limit{100, "pids.max of /a", true}},
	} {
		if got := tasks(tree(test.files)); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}

// TestThisMachine checks that the limits of this machine are plausible.
func TestThisMachine(t *testing.T) {
	if m := Memory(0); m.N < 16<<20 || m.From == "" {
		t.Errorf("%+v", m)
	}
	if got := Tasks(); got.N < 1 {
		t.Errorf("%+v", got)
	}
}

func TestInMemory(t *testing.T) {
	if dir := "/dev/shm"; InMemory(dir) != InMemory(dir+"/not/there") {
		t.Error("a directory that is not there is not where its parent is")
	}
	if _, err := os.Stat("/dev/shm"); err == nil && !InMemory("/dev/shm/x") {
		t.Error("/dev/shm is not said to be memory")
	}
	if InMemory("/proc") {
		t.Error("/proc is said to be a tmpfs")
	}
}

// FuzzGroups checks that no text in place of the kernel's causes a panic or a hang.
func FuzzGroups(f *testing.F) {
	f.Add("0::/a/b\n", mountV2)
	f.Add("4:memory:/docker/x\n", mountV1)
	f.Add("0::/../x\n", "1 2 3 / / - cgroup2 x y\n")
	f.Fuzz(func(t *testing.T, cgroup, mounts string) {
		root := tree(map[string]string{"proc/self/cgroup": cgroup, "proc/self/mountinfo": mounts})
		for _, g := range groups(root, "memory") {
			if g.name == "" || g.name[0] != '/' {
				t.Errorf("%+v", g)
			}
		}
	})
}

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/cmd/internal/config"
	"polyclam/cmd/internal/machine"
	"polyclam/cmd/internal/needs"
	"polyclam/test/testkit"
)

// TestNeedsUnderLoad has as many clients as allowed, a full spool and a hung program in every
// slot of an engine. The daemon's use is within the formula, and not so far below it that the
// formula is useless.
func TestNeedsUnderLoad(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	program := writeProgram(t, dir, "exec sleep 3600\n")
	conf := filepath.Join(dir, "config.toml")
	text := unixListener(socket) + "[limits]\nconnections = 200\nclient_share = 100\nwaiting = 20\nspool_total = \"64MiB\"\nstream = \"1MiB\"\n[log]\nformat = \"json\"\n" +
		programEngine(dir, program, "canary = false", "max_scans = 20", `max_output = "64KiB"`)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d := startDaemon(t, conf, withoutRaceDetector(t, dir))
	for range 190 {
		nc, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		go io.WriteString(nc, instream(strings.Repeat("x", 300<<10)))
	}
	testkit.Eventually(t, "a full spool and twenty programs", func() bool {
		return statusField(t, socket, "spool_used") >= 40<<20 && len(processes(t)[d.cmd.Process.Pid]) >= 20
	})

	file, err := config.Load(conf)
	if err != nil {
		t.Fatal(err)
	}
	file.FitSpool(machine.Memory(0))
	need := needs.Of(file)
	descriptors, inFiles := openFiles(t, d.cmd.Process.Pid)
	for _, test := range []struct {
		name      string
		used, max int64
	}{
		{"descriptors", descriptors, need.Descriptors.Sum()},
		{"threads", processField(t, d.cmd.Process.Pid, "Threads:"), need.Threads.Sum()},
		{"programs", int64(len(processes(t)[d.cmd.Process.Pid])), need.Programs.Sum()},
		{"bytes of memory", processField(t, d.cmd.Process.Pid, "VmHWM:")<<10 + inFiles, need.MemoryAtMost()},
	} {
		t.Logf("%s: %d, formula %d", test.name, test.used, test.max)
		if test.used > test.max || test.used < test.max/6 {
			t.Errorf("%d %s, want at most %d and at least a sixth of that", test.used, test.name, test.max)
		}
	}
	d.signal(syscall.SIGKILL) // SIGTERM would wait for the programs
}

// withoutRaceDetector makes a command run an ordinary build of the daemon: the race detector
// multiplies its memory.
func withoutRaceDetector(t *testing.T, dir string) func(*exec.Cmd) {
	t.Helper()
	binary := filepath.Join(dir, "polyclamd")
	if out, err := exec.Command("go", "build", "-o", binary, "polyclam/cmd/polyclamd").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return func(c *exec.Cmd) { c.Path = binary }
}

// statusField returns a number of the SERVER record of XSTATUS.
func statusField(t *testing.T, socket, key string) int64 {
	t.Helper()
	reply, err := ask("unix", socket, "zXSTATUS\x00")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(key + `=(\d+)`).FindStringSubmatch(reply)
	if m == nil {
		t.Fatalf("no %s in %q", key, reply)
	}
	n, _ := strconv.ParseInt(m[1], 10, 64)
	return n
}

// openFiles returns how many descriptors a process has open, and how many bytes its unlinked
// files have.
func openFiles(t *testing.T, pid int) (n, bytes int64) {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); errors.Is(err, syscall.ENOENT) {
			continue // it was closed
		}
		n++
		if st.Mode&syscall.S_IFMT == syscall.S_IFREG && st.Nlink == 0 {
			bytes += st.Blocks * 512
		}
	}
	return n, bytes
}

// processField returns a number of /proc/PID/status.
func processField(t *testing.T, pid int, key string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == key {
			n, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s of process %d", key, pid)
	return 0
}

// TestSmallControlGroup sends a daemon more than its memory holds. Every client gets an
// answer, and the kernel kills nothing.
func TestSmallControlGroup(t *testing.T) {
	group := memoryGroup(t, 192<<20)
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	d := launch(t, nil, "--config", writeConfig(t, dir, unixListener(socket)+"[spool]\nwait = \"1s\"\n"))
	d.waitFor("engine")
	if err := os.WriteFile(filepath.Join(group, "cgroup.procs"), fmt.Append(nil, d.cmd.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	d.reload(reloaded) // now with the limit
	entries := d.entries("needs at most")
	if source := fmt.Sprint(entries[len(entries)-1]["source"]); !strings.Contains(source, "half of 192 MiB") {
		t.Errorf("spool_total comes from %q", source)
	}
	answers := make(chan string)
	for range 8 {
		go func() {
			nc, err := net.Dial("unix", socket)
			if err != nil {
				answers <- err.Error()
				return
			}
			defer nc.Close()
			nc.SetDeadline(time.Now().Add(hang))
			go io.WriteString(nc, instream(strings.Repeat("x", 60<<20))) // the answer may come before its end
			reply, _ := io.ReadAll(nc)
			answers <- string(reply)
		}()
	}
	for range 8 {
		if answer := <-answers; !strings.HasSuffix(answer, " OK\x00") && !strings.HasSuffix(answer, " ERROR\x00") {
			t.Errorf("answer %q", answer)
		}
	}
	wantPong(t, "unix", socket)
	d.stop()
}

// memoryGroup creates a control group with a limit. The end of the test removes it.
func memoryGroup(t *testing.T, limit int) string {
	t.Helper()
	for root, name := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		group := filepath.Join(root, fmt.Sprintf("polyclamd-test-%d", os.Getpid()))
		if os.Mkdir(group, 0o755) != nil {
			continue
		}
		file, err := os.OpenFile(filepath.Join(group, name), os.O_WRONLY, 0) // it exists only if the kernel has the controller
		if err != nil {
			os.Remove(group)
			continue
		}
		defer file.Close()
		t.Cleanup(func() {
			testkit.Eventually(t, "the removal of the control group", func() bool { return os.Remove(group) == nil })
		})
		if _, err := fmt.Fprint(file, limit); err == nil {
			return group
		}
	}
	t.Skip("NOT TESTED: a control group for memory; this needs root and the memory controller")
	return ""
}

// TestLowLimits checks that the log names the limits that are too low for the formula.
func TestLowLimits(t *testing.T) {
	dir := testkit.SocketDir(t)
	conf := writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+"[limits]\nconnections = 1000000\nspool_total = \"1TiB\"\n")
	d := startDaemon(t, conf, nil)
	entry := d.waitFor("connections lowered")
	if entry["configured"] != 1e6 || entry["connections"].(float64) >= 1e6 || !strings.Contains(fmt.Sprint(entry["hint"]), "LimitNOFILE=") {
		t.Errorf("%v", entry)
	}
	if entry := d.waitFor("too little memory"); !strings.Contains(fmt.Sprint(entry["hint"]), "--check") || entry["limit"] == nil {
		t.Errorf("%v", entry)
	}
	d.stop()
}

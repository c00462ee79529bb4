// Package container builds the root file system that contrib/container/Dockerfile
// describes and runs it like a container runtime, with namespaces and a memory limit: no
// image registry and no daemon are needed.
package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/backends/testfile"
	"polyclam/test/child"
	"polyclam/test/testkit"
)

const (
	top        = "../.."
	dockerfile = top + "/contrib/container/Dockerfile"
	memory     = 256 << 20 // bytes
	patience   = time.Minute
)

// image is what the last stage of the Dockerfile produces.
type image struct {
	root       string
	env        []string
	user       string
	health     []string
	entrypoint []string
}

// copied is a COPY of a Dockerfile from the build stage.
var copied = regexp.MustCompile(`^COPY --from=build (.*) (\S+)$`)

// buildImage carries out the last stage of the Dockerfile. The programs come from this
// tree; every other file from this machine.
func buildImage(t *testing.T) *image {
	t.Helper()
	data, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	_, stage, ok := strings.Cut(string(data), "\nFROM scratch\n")
	if !ok {
		t.Fatal("there is no stage FROM scratch")
	}
	m := &image{root: t.TempDir()}
	for line := range strings.Lines(stage) {
		line = strings.TrimSpace(line)
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "", "#", "EXPOSE", "STOPSIGNAL":
		case "COPY":
			f := copied.FindStringSubmatch(line)
			if f == nil {
				t.Fatalf("cannot copy: %s", line)
			}
			for _, source := range strings.Fields(f[1]) {
				m.copy(t, source, f[2])
			}
		case "ENV":
			m.env = append(m.env, rest)
		case "USER":
			m.user = rest
		case "HEALTHCHECK":
			_, command, _ := strings.Cut(rest, "CMD ")
			m.health = words(t, command)
		case "ENTRYPOINT":
			m.entrypoint = words(t, rest)
		default:
			t.Fatalf("unknown instruction: %s", line)
		}
	}
	return m
}

func words(t *testing.T, list string) (out []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(list), &out); err != nil {
		t.Fatalf("%s: %v", list, err)
	}
	return out
}

// copy copies a file of the build stage into a directory of the image.
func (m *image) copy(t *testing.T, source, dir string) {
	t.Helper()
	target := filepath.Join(m.root, dir, filepath.Base(source))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if command, ok := strings.CutPrefix(source, "/src/bin/"); ok {
		cmd := exec.Command("go", "build", "-trimpath", "-o", target, "./cmd/"+command)
		cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	data, err := os.ReadFile(source)
	if err != nil {
		t.Logf("left out: %v", err)
		return
	}
	if err := os.WriteFile(target, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// runScript is what a container runtime does: a read-only root with /proc and a few devices,
// a loopback interface, another user, and the program as the first process.
const runScript = `set -e
mount --bind "$R" "$R"
mount -t proc proc "$R/proc"
mount -t tmpfs -o size=64k,mode=755 tmpfs "$R/dev"
for d in null urandom; do : > "$R/dev/$d"; mount --bind /dev/$d "$R/dev/$d"; done
mount -o remount,bind,ro "$R"
ip link set lo up
chroot=$(command -v chroot)
exec env -i %s "$chroot" --userspec=%s "$R" "$@"`

// run starts the image and returns the process id of its first process on this machine.
func (m *image) run(t *testing.T, env ...string) (pid int, runtime *child.Process, log string) {
	t.Helper()
	for _, dir := range []string{"proc", "dev"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var set []string
	for _, v := range append(m.env, env...) {
		set = append(set, "'"+v+"'")
	}
	script := fmt.Sprintf(runScript, strings.Join(set, " "), m.user)
	args := append([]string{"--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"}, m.entrypoint...)
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), "R="+m.root)
	limitMemory(t, cmd)
	log = filepath.Join(t.TempDir(), "log")
	p, err := child.StartLogged(cmd, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	testkit.Eventually(t, "the daemon listens", func() bool {
		if p.Ended() {
			t.Fatalf("it ended:\n%s", child.Tail(log, 4000))
		}
		return strings.Contains(child.Tail(log, 20000), `"message":"listening"`)
	})
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID(), p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		t.Fatal(err)
	}
	return pid, p, log
}

// limitMemory makes cmd start in a control group with little memory, if this machine lets
// it.
func limitMemory(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	dir, file := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	if _, err := os.Stat(dir); err != nil {
		dir, file = "/sys/fs/cgroup", "memory.max"
	}
	dir = filepath.Join(dir, fmt.Sprintf("polyclam-test-%d", os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Logf("without a memory limit: %v", err)
		return
	}
	t.Cleanup(func() {
		testkit.Eventually(t, "the control group is empty", func() bool { return os.Remove(dir) == nil })
	})
	if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(memory)), 0o644); err != nil {
		t.Logf("without a memory limit: %v", err)
		return
	}
	join := fmt.Sprintf("echo $$ > %s/cgroup.procs && exec \"$@\"", dir)
	cmd.Args = append([]string{"sh", "-c", join, "sh"}, cmd.Args...)
	cmd.Path = "/bin/sh"
}

// exec runs a program inside the container, like docker exec.
func (m *image) exec(t *testing.T, pid int, input []byte, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	uid, gid, _ := strings.Cut(m.user, ":")
	in := []string{"--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--root", "--setuid", uid, "--setgid", gid, "--"}
	cmd := exec.CommandContext(ctx, "nsenter", append(in, args...)...)
	cmd.Env, cmd.Stdin = m.env, bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || ctx.Err() != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func needRoot(t *testing.T) {
	t.Helper()
	for _, program := range []string{"unshare", "nsenter", "chroot", "ip", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			skip(t, "there is no "+program)
		}
	}
	if out, err := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "true").CombinedOutput(); err != nil {
		skip(t, "no namespaces: "+strings.TrimSpace(string(out)))
	}
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("POLYCLAM_REQUIRE_REAL") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// TestImage runs the image with nothing but its own settings: EICAR is found, the health
// check passes, nothing can be written, and SIGTERM ends it with status 0.
func TestImage(t *testing.T) {
	needRoot(t)
	m := buildImage(t)
	pid, p, log := m.run(t)
	if status, out := m.exec(t, pid, nil, m.health...); status != 0 {
		t.Errorf("health check: exit status %d\n%s", status, out)
	}
	if status, out := m.exec(t, pid, testfile.EICAR(), "/usr/bin/polyclam", "scan", "-"); status != 1 || !strings.Contains(out, "Eicar-Test-Signature") {
		t.Errorf("EICAR: exit status %d\n%s", status, out)
	}
	if status, out := m.exec(t, pid, []byte("harmless"), "/usr/bin/polyclam", "scan", "-"); status != 0 {
		t.Errorf("clean: exit status %d\n%s", status, out)
	}
	if status := readStatus(t, pid); status["Uid"] != "65534" || status["CapEff"] != "0000000000000000" {
		t.Errorf("the first process has uid %s and capabilities %s", status["Uid"], status["CapEff"])
	}
	if n := zombies(t, pid); n > 0 {
		t.Errorf("%d zombies", n)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !p.Wait(patience) || p.State().ExitCode() != 0 {
		t.Errorf("after SIGTERM: %v\n%s", p.State(), child.Tail(log, 4000))
	}
	t.Logf("measured: peak memory of the container's processes %d MiB", peak(p.State())>>20)
}

// peak returns the largest resident set of the processes of p.
func peak(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// TestEngineDown points the image at a clamd that is not there: the health check fails, and
// scans are answered with an error.
func TestEngineDown(t *testing.T) {
	needRoot(t)
	m := buildImage(t)
	pid, _, _ := m.run(t, "POLYCLAM_CLAMD=tcp:127.0.0.1:9")
	testkit.Eventually(t, "the health check fails", func() bool {
		status, _ := m.exec(t, pid, nil, m.health...)
		return status == 2
	})
	if status, out := m.exec(t, pid, []byte("harmless"), "/usr/bin/polyclam", "scan", "-"); status != 2 {
		t.Errorf("a scan: exit status %d\n%s", status, out)
	}
	if status, out := m.exec(t, pid, nil, "/usr/bin/polyclam", "ping"); status != 0 {
		t.Errorf("ping: exit status %d\n%s", status, out)
	}
}

// readStatus returns the first words of the lines of /proc/PID/status.
func readStatus(t *testing.T, pid int) map[string]string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name], _, _ = strings.Cut(strings.TrimSpace(value), "\t")
	}
	return fields
}

// zombies counts the dead children of a process.
func zombies(t *testing.T, pid int) (n int) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		data, _ := os.ReadFile(list)
		for _, id := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(id)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(readStatus(t, child)["State"], "Z") {
				n++
			}
		}
	}
	return n
}

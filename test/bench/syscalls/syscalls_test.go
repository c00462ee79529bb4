// Package syscalls counts the system calls of polyclamd for one scan of a small object:
//
//	go test -v ./test/bench/syscalls
//
// strace slows polyclamd down, but does not change what it asks the kernel for. Only how often
// Go's runtime puts threads to sleep and wakes them depends on time, so those calls have no
// bound.
package syscalls

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/bench/nullclamd"
	"polyclam/test/child"
	"polyclam/test/testkit"
)

const (
	scans = 100
	// most is the bound on system calls for a scan, without those of the runtime.
	most = 22
	// patience ends a test that hangs.
	patience = time.Minute
)

// runtime are the system calls with which Go's runtime schedules.
var runtime = []string{"epoll_pwait", "futex", "getpid", "madvise", "mmap", "munmap", "nanosleep", "restart_syscall", "rt_sigreturn", "sched_getaffinity", "sched_yield", "tgkill"}

// client are bounds on the calls that serve the client of a 1 KB scan: more of them means that
// its connection was polled, or closed twice. A few clients are slower, which costs more.
var client = map[string]float64{
	"accept4": 2.3, "shutdown": 1.1, "recvmsg": 3, "epoll_ctl": 1.5, "getsockname": 0.1, "getpeername": 0.1, "setsockopt": 0.1,
}

func TestSyscalls(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv("POLYCLAM_REQUIRE_REAL") != "" {
			t.Fatal("strace is not installed: run test/install")
		}
		t.Skip("strace is not installed: run test/install")
	}
	dir := testkit.SocketDir(t)
	socket, pid := start(t, dir)
	for _, size := range []int{1 << 10, 10 << 10, 1 << 20} {
		calls := count(t, filepath.Join(dir, "strace"), pid, func() {
			for range scans {
				scan(t, socket, size)
			}
		})
		all, own := 0.0, 0.0
		for name, n := range calls {
			all += n
			if !slices.Contains(runtime, name) {
				own += n
			}
		}
		t.Logf("table: %d KB: %.1f system calls for a scan, %.1f without those of Go's runtime", size>>10, all, own)
		for _, name := range slices.SortedFunc(maps.Keys(calls), func(a, b string) int { return int(1000 * (calls[b] - calls[a])) }) {
			t.Logf("%-20s %6.2f", name, calls[name])
		}
		if size > 1<<10 {
			continue
		}
		if own > most {
			t.Errorf("%.1f system calls for a scan of 1 KB, want at most %d", own, most)
		}
		for name, bound := range client {
			if calls[name] > bound {
				t.Errorf("%s: %.2f for a scan, want at most %.1f", name, calls[name], bound)
			}
		}
	}
}

// start runs polyclamd in front of a null clamd.
func start(t *testing.T, dir string) (socket string, pid int) {
	t.Helper()
	program := filepath.Join(dir, "polyclamd")
	if out, err := exec.Command("go", "build", "-o", program, "polyclam/cmd/polyclamd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	null, err := nullclamd.Listen(filepath.Join(dir, "null"))
	if err != nil {
		t.Fatal(err)
	}
	go null.Serve()
	t.Cleanup(func() { null.Close() })
	socket = filepath.Join(dir, "s")
	conf := fmt.Sprintf("[[listener]]\naddress = %q\n[[engine]]\nname = \"clamav\"\nbackend = \"clamd\"\naddress = %q\n", "unix:"+socket, "unix:"+filepath.Join(dir, "null"))
	file := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := child.StartLogged(exec.Command(program, "--config="+file), filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Stop(patience) })
	testkit.Eventually(t, "polyclamd scans", func() bool {
		got, err := ask(socket, 1<<10)
		return err == nil && got == "stream: OK\x00"
	})
	return socket, d.PID()
}

func scan(t *testing.T, socket string, size int) {
	t.Helper()
	if got, err := ask(socket, size); err != nil || got != "stream: OK\x00" {
		t.Fatalf("%q, %v", got, err)
	}
}

// ask scans one object on a connection of its own.
func ask(socket string, size int) (string, error) {
	nc, err := net.Dial("unix", socket)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	request := binary.BigEndian.AppendUint32([]byte("zINSTREAM\x00"), uint32(size))
	request = append(append(request, make([]byte, size)...), 0, 0, 0, 0)
	if _, err := nc.Write(request); err != nil {
		return "", err
	}
	reply := make([]byte, 64)
	n, err := nc.Read(reply)
	return string(reply[:n]), err
}

// count returns how often the process makes each system call for one of the scans of f.
func count(t *testing.T, file string, pid int, f func()) map[string]float64 {
	t.Helper()
	cmd := exec.Command("strace", "-f", "-c", "-U", "name,calls", "-o", file, "-p", strconv.Itoa(pid))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	if line, err := lines.ReadString('\n'); !strings.Contains(line, "attached") {
		cmd.Process.Kill()
		t.Fatalf("strace: %q, %v", line, err)
	}
	rest := make(chan struct{})
	go func() { io.Copy(io.Discard, lines); close(rest) }()
	f()
	cmd.Process.Signal(syscall.SIGINT)
	<-rest
	cmd.Wait() // strace ends by the signal
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || fields[0] == "total" {
			continue
		}
		if n, err := strconv.Atoi(fields[1]); err == nil {
			calls[fields[0]] = float64(n) / scans
		}
	}
	if calls["accept4"] == 0 {
		t.Fatalf("strace counted nothing:\n%s", text)
	}
	return calls
}

package live

import (
	_ "embed"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/clamdtest"
)

// patience limits every wait for the machine. It measures nothing: it only catches a hang.
const patience = 2 * time.Minute

//go:embed boot.sh
var bootScript string

// Options say what a machine has before it boots.
type Options struct {
	// Files are written over the root file system, by path. Their mode is 0644.
	Files map[string]string
}

// A Machine is a booted systemd.
type Machine struct {
	// Leader is the process ID of its systemd, as seen from this machine.
	Leader int
	// Booted is how long it took to boot.
	Booted time.Duration

	t       testing.TB
	dir     string
	name    string
	cgroups []string
	proc    *child.Process
}

// Start boots a machine. It ends at the test's cleanup, and nothing is left of it. For
// users other than root, or without systemd-nspawn, the test is skipped, see
// [clamdtest.RequireProgram]. If the test fails, the end of the journal is shown.
func Start(t testing.TB, o Options) *Machine {
	t.Helper()
	clamdtest.RequireRoot(t, "systemd-nspawn")
	for _, program := range []string{"systemd-nspawn", "nsenter", "unshare"} {
		clamdtest.RequireProgram(t, program)
	}
	if err := sweep(); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", prefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		t.Fatal(err)
	}
	m := &Machine{t: t, dir: dir, name: filepath.Base(dir)}
	t.Cleanup(m.stop)
	m.seed(o)
	if m.cgroups, err = makeCgroups(m.name); err != nil {
		clamdtest.NotTested(t, "no cgroup for a machine: "+err.Error())
	}
	began := time.Now()
	m.boot()
	m.Booted = time.Since(began)
	return m
}

// seed writes what the machine has more than this one.
func (m *Machine) seed(o Options) {
	m.t.Helper()
	files := map[string]string{
		"/etc/hostname": m.name + "\n",
		"/etc/hosts":    "127.0.0.1 localhost " + m.name + "\n::1 localhost\n",
		// The journal is read by the test, and lost with the machine.
		"/etc/systemd/journald.conf.d/live.conf": "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToSyslog=no\nForwardToConsole=no\n",
		// A stopped machine is killed. What hangs shows in the tests.
		"/etc/systemd/system.conf.d/live.conf": "[Manager]\nDefaultTimeoutStopSec=30s\nShowStatus=no\n",
	}
	for path, text := range o.Files {
		files[path] = text
	}
	for path, text := range files {
		at := filepath.Join(m.dir, "seed", path)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			m.t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			m.t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(m.dir, "disk"), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// boot runs systemd-nspawn and waits until the machine's systemd reports that it is
// ready.
func (m *Machine) boot() {
	m.t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "notify"), Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	defer notify.Close()
	args := []string{"--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", bootScript, "boot.sh", m.dir, m.name}
	cmd := exec.Command("unshare", append(args, m.cgroups...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "NOTIFY_SOCKET=" + filepath.Join(m.dir, "notify")}
	if m.proc, err = child.StartLogged(cmd, m.console()); err != nil {
		m.t.Fatal(err)
	}
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-m.proc.Done():
			notify.Close()
		case <-stop:
		}
	}()
	notify.SetReadDeadline(time.Now().Add(patience))
	message := make([]byte, 4096)
	for {
		n, err := notify.Read(message)
		if err != nil {
			m.t.Fatalf("the machine does not boot: %v\n%s", err, m.log())
		}
		if strings.Contains("\n"+string(message[:n]), "\nREADY=1") {
			break
		}
	}
	// unshare, systemd-nspawn, the machine's systemd.
	m.Leader, err = onlyChild(m.proc.PID())
	if err == nil {
		m.Leader, err = onlyChild(m.Leader)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// onlyChild returns the one child of a process.
func onlyChild(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}

func (m *Machine) console() string { return filepath.Join(m.dir, "console") }

// log is what systemd-nspawn and systemd have printed.
func (m *Machine) log() string {
	f, err := os.Open(m.console())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	return string(text)
}

// stop kills the machine. Its namespaces and mounts go with it.
func (m *Machine) stop() {
	if m.proc != nil {
		if m.t.Failed() && m.Leader != 0 {
			m.showJournal()
		}
		m.proc.Kill()
	}
	if err := removeCgroups(m.cgroups); err != nil {
		m.t.Error(err)
	}
	if err := os.RemoveAll(m.dir); err != nil {
		m.t.Error(err)
	}
}

// showJournal shows the end of the journal without what the daemons say about every scan.
func (m *Machine) showJournal() {
	var lines []string
	for _, e := range m.Journal() {
		if strings.Contains(e.Message, "sha256") || strings.HasSuffix(e.Message, " FOUND") || strings.Contains(e.Message, "-> Limits: ") || strings.HasSuffix(e.Message, " enabled.") {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s <%d> %s: %s", e.Time.Format("15:04:05.000"), e.Priority, e.Identifier, e.Message))
	}
	m.t.Logf("journal of the machine:\n%s", strings.Join(lines[max(0, len(lines)-60):], "\n"))
}

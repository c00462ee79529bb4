package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"polyclam/test/child"
	"polyclam/test/testkit"
)

func TestMachine(t *testing.T) {
	var leftovers []string
	t.Run("machine", func(t *testing.T) {
		m := Start(t, Options{Files: map[string]string{"/etc/seeded": "seed\n"}})
		leftovers = append([]string{m.dir}, m.cgroups...)
		t.Logf("measured: the machine boots in %v", m.Booted.Round(time.Millisecond))
		if r := m.Run("systemctl", "is-system-running"); r.Stdout != "running\n" {
			t.Errorf("the system is %v\n%s", r, m.Sh("systemctl list-units --failed || true"))
		}
		if r := m.Run("sh", "-c", "echo out; echo err >&2; pwd; exit 3"); r.Status != 3 || r.Stdout != "out\n/root\n" || r.Stderr != "err\n" {
			t.Errorf("the command: %v", r)
		}
		if r := m.Run("echo", "$HOME ${HOME} $$ %h a\nb"); r.Stdout != "$HOME ${HOME} $$ %h a\nb\n" {
			t.Errorf("echo: %v", r)
		}
		if r := m.Feed("a line\n", "cat"); r.Stdout != "a line\n" {
			t.Errorf("cat: %v", r)
		}
		testMachineFiles(t, m)
		testMachineNetwork(t, m)
		testMachineJournal(t, m)
	})
	for _, path := range leftovers {
		if exists(path) {
			t.Errorf("%s is left", path)
		}
	}
}

func testMachineFiles(t *testing.T, m *Machine) {
	t.Helper()
	m.Put("/srv/new/file", "text\n", 0o640)
	if got := m.Sh("cat /etc/seeded; cat /srv/new/file; stat -c %a /srv/new/file; hostname"); got != "seed\ntext\n640\n"+m.name+"\n" {
		t.Errorf("files: %q", got)
	}
	if got := m.Get("/etc/seeded"); got != "seed\n" || !m.Has("/etc/seeded") || m.Has("/etc/none") {
		t.Errorf("/etc/seeded is %q", got)
	}
	// The host's files are hidden, and stay as they are.
	if got := m.Sh("ls -A /root /work /home; ls /etc/polyclam 2>/dev/null || true; ls /tmp"); strings.Contains(got, filepath.Base(m.dir)) || strings.Contains(got, ".bashrc") {
		t.Errorf("the machine sees files of the host:\n%s", got)
	}
	if exists("/srv/new") || exists("/etc/seeded") {
		t.Error("the machine writes to the host")
	}
}

func testMachineNetwork(t *testing.T, m *Machine) {
	t.Helper()
	l, err := m.Listen("127.0.0.1:25")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		io.WriteString(nc, "hello\n")
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	nc, err := m.Dial(ctx, "tcp", "127.0.0.1:25")
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if got, err := io.ReadAll(nc); string(got) != "hello\n" {
		t.Errorf("read %q, %v", got, err)
	}
	if got := m.Sh("ls /sys/class/net"); got != "lo\n" {
		t.Errorf("the machine's interfaces are %q", got)
	}
}

func testMachineJournal(t *testing.T, m *Machine) {
	t.Helper()
	m.Sh("echo 'a warning' | systemd-cat -t teller -p warning")
	got := m.Journal("-t", "teller")
	if len(got) != 1 || got[0].Message != "a warning" || got[0].Priority != 4 || time.Since(got[0].Time).Abs() > time.Hour {
		t.Errorf("the journal has %+v", got)
	}
}

// TestKilled kills a test process that has a machine. The machine ends with it, and the
// next one sweeps up the rest.
func TestKilled(t *testing.T) {
	if os.Getenv("LIVE_VICTIM") == "1" {
		m := Start(t, Options{})
		fmt.Printf("\nvictim %d %s %s\n", m.Leader, m.dir, strings.Join(m.cgroups, " "))
		select {}
	}
	Start(t, Options{}) // or skip
	victim := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	victim.Env = append(os.Environ(), "LIVE_VICTIM=1")
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p, err := child.Start(victim)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	var leader int
	var paths []string
	for lines := bufio.NewScanner(out); leader == 0 && lines.Scan(); {
		if _, err := fmt.Sscanf(lines.Text(), "victim %d", &leader); err == nil {
			paths = strings.Fields(lines.Text())[2:]
		}
	}
	if leader == 0 || len(paths) < 2 {
		t.Fatalf("the victim did not start: %d %q", leader, paths)
	}
	p.Crash()
	testkit.Eventually(t, "the machine ends", func() bool { return errors.Is(syscall.Kill(leader, 0), syscall.ESRCH) })
	if err := sweep(); err != nil {
		t.Error(err)
	}
	for _, path := range paths {
		if exists(path) {
			t.Errorf("%s is left", path)
		}
	}
}

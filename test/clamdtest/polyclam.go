package clamdtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"polyclam/test/child"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// build builds polyclamd once for the test process.
var build = sync.OnceValues(buildPolyclamd)

// buildDir is where build put it, for [Main] to remove.
var buildDir struct {
	mu   sync.Mutex
	path string
}

// Main runs the tests of a package and then removes the polyclamd that they built: func
// TestMain(m *testing.M) { os.Exit(clamdtest.Main(m)) }.
func Main(m *testing.M) int {
	defer func() {
		buildDir.mu.Lock()
		defer buildDir.mu.Unlock()
		if buildDir.path != "" {
			os.RemoveAll(buildDir.path)
		}
	}()
	return m.Run()
}

// buildPolyclamd builds cmd/polyclamd, with the race detector if POLYCLAM_RACE=1 is in
// the environment.
func buildPolyclamd() (string, error) {
	dir, err := os.MkdirTemp("", "pcb")
	if err != nil {
		return "", err
	}
	buildDir.mu.Lock()
	buildDir.path = dir
	buildDir.mu.Unlock()
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "polyclamd")
	args := []string{"build", "-o", binary}
	if os.Getenv("POLYCLAM_RACE") == "1" {
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, "polyclam/cmd/polyclamd")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build polyclamd: %w\n%s", err, out)
	}
	return binary, nil
}

// Polyclam is a running polyclamd.
type Polyclam struct {
	Socket string // path of the Unix socket, ${DIR}/p.sock
	TCP    string // "127.0.0.1:port", the port of ${PORT}
	Dir    string // ${DIR}: configuration, socket, spool
	Conf   string // path of the configuration
	Pid    int

	t       testing.TB
	o       Options
	toml    string
	account account
	log     *output
	proc    *child.Process
	stopped bool
}

// StartPolyclam builds polyclamd, runs it with the configuration and waits until it
// answers. In the configuration ${DIR} means the daemon's own directory and
// ${PORT} for a free port of 127.0.0.1. One of its listeners must be
// "unix:${DIR}/p.sock" or "tcp:127.0.0.1:${PORT}". It ignores the host's TMPDIR: its
// temporary files are in ${DIR}/tmp, where a test can count them.
//
// Cleanup sends SIGTERM, and the daemon must exit with status 0, see [Polyclam.Stop].
func StartPolyclam(t testing.TB, toml string, o Options) *Polyclam {
	t.Helper()
	p := &Polyclam{t: t, o: o, toml: toml, account: lookup(t, o.User).in(t, o.Groups), Dir: Dir(t, o.User), log: new(output)}
	if o.Binary == "" {
		binary, err := build()
		if err != nil {
			t.Fatal(err)
		}
		p.o.Binary = binary
	}
	p.Socket, p.Conf = filepath.Join(p.Dir, "p.sock"), filepath.Join(p.Dir, "config.toml")
	tmp := filepath.Join(p.Dir, "tmp")
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	p.account.give(t, tmp)
	if !o.HideLog {
		showLog(t, "polyclamd", p.log)
	}
	t.Cleanup(func() {
		if !p.stopped {
			p.Stop()
		}
		p.proc.Kill()
	})
	if err := p.start(); err != nil {
		p.stopped = true
		t.Fatalf("polyclamd: %v\n%s", err, tail(p.log.String()))
	}
	return p
}

// start chooses a port and runs polyclamd. Another program may take the port first,
// hence the attempts.
func (p *Polyclam) start() error {
	var err error
	for range 5 {
		port, portErr := p.o.port()
		if portErr != nil {
			return portErr
		}
		p.TCP = "127.0.0.1:" + port
		text := strings.NewReplacer("${DIR}", p.Dir, "${PORT}", port).Replace(p.toml)
		if err := os.WriteFile(p.Conf, []byte(text), 0o644); err != nil {
			return err
		}
		if err = p.run(); err == nil || !strings.Contains(p.log.String(), "address already in use") {
			return err
		}
	}
	return err
}

func (p *Polyclam) run() error {
	dir := p.o.WorkDir
	if dir == "" {
		dir = p.Dir
	}
	args := append([]string{"TMPDIR=" + filepath.Join(p.Dir, "tmp")}, p.o.Env...)
	args = append(args, p.o.Binary, "--config="+p.Conf)
	proc, err := launch(p.account, dir, p.log, "env", append(args, p.o.Args...)...)
	if err != nil {
		return err
	}
	p.proc, p.Pid = proc, proc.PID()
	network, address := p.address()
	if err := ready(proc, network, address); err != nil {
		proc.Kill()
		return err
	}
	return nil
}

// address is the listener to poll.
func (p *Polyclam) address() (network, address string) {
	if strings.Contains(p.toml, "${DIR}/p.sock") {
		return "unix", p.Socket
	}
	return "tcp", p.TCP
}

// Stop ends polyclamd by SIGTERM. The test fails if it does not exit with status 0, if
// the race detector reported a race, if it panicked, or if a process of its group is
// left.
func (p *Polyclam) Stop() {
	p.t.Helper()
	p.stopped = true
	p.proc.Signal(syscall.SIGTERM)
	switch {
	case !p.proc.Wait(hang):
		p.t.Errorf("polyclamd still runs %v after SIGTERM", hang)
		p.proc.Signal(syscall.SIGQUIT)
		p.proc.Wait(hang / 10)
		p.proc.Kill()
	case p.proc.State().ExitCode() != 0:
		p.t.Errorf("polyclamd after SIGTERM: %v", p.proc.State())
	}
	p.checkAfterExit()
}

func (p *Polyclam) checkAfterExit() {
	p.t.Helper()
	log := p.log.String()
	for _, bad := range []string{"WARNING: DATA RACE", "panic: ", "fatal error: "} {
		if strings.Contains(log, bad) {
			p.t.Errorf("polyclamd printed %q", bad)
		}
	}
	if err := syscall.Kill(-p.Pid, 0); !errors.Is(err, syscall.ESRCH) {
		p.t.Errorf("polyclamd left a child (group %d: %v)", p.Pid, err)
		syscall.Kill(-p.Pid, syscall.SIGKILL)
	}
	if p.o.AfterExit != nil {
		p.o.AfterExit(p.t, p)
	}
}

// Kill kills polyclamd with SIGKILL, as a crash would, and returns when it is gone.
func (p *Polyclam) Kill() {
	p.stopped = true
	p.proc.Kill()
}

// Restart runs polyclamd again with the same configuration, socket and port after Kill
// or Stop. An error means that it did not come up.
func (p *Polyclam) Restart() error {
	p.stopped = false
	return p.run()
}

// Signal sends a signal to polyclamd.
func (p *Polyclam) Signal(s syscall.Signal) error { return p.proc.Signal(s) }

// Wait waits until polyclamd ends without being asked to, and returns its exit status.
// Cleanup then does not call Stop.
func (p *Polyclam) Wait() (int, error) {
	p.stopped = true
	if !p.proc.Wait(hang) {
		return 0, fmt.Errorf("still running after %v", hang)
	}
	return p.proc.State().ExitCode(), nil
}

// Ended reports whether polyclamd is no longer running.
func (p *Polyclam) Ended() bool { return p.proc.Ended() }

// Log returns what polyclamd has printed so far.
func (p *Polyclam) Log() string { return p.log.String() }

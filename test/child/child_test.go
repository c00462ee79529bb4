package child

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take before a test gives up.
const patience = 60 * time.Second

// start runs a shell script that has printed a line.
func start(t *testing.T, script string) (p *Process, log string) {
	t.Helper()
	log = filepath.Join(t.TempDir(), "log")
	p, err := StartLogged(exec.Command("/bin/sh", "-c", script), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-p.PID(), syscall.SIGKILL); <-p.Done() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := p.Ready(ctx, func(context.Context) error {
		if !strings.Contains(Tail(log, 100), "\n") {
			return errors.New("no line")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return p, log
}

func TestStop(t *testing.T) {
	p, log := start(t, "trap 'echo bye; exit 3' TERM; sleep 1000 & echo hello; wait")
	if p.Ended() || p.Wait(0) {
		t.Error("it has ended")
	}
	if _, inTime := p.Stop(patience); !inTime || p.State().ExitCode() != 3 {
		t.Errorf("in time %v, %v", inTime, p.State())
	}
	if got := Tail(log, 4); got != "bye\n" {
		t.Errorf("log ends with %q", got)
	}
	if !p.Ended() || !p.Group() { // sleep is left
		t.Errorf("ended %v, group %v", p.Ended(), p.Group())
	}
}

func TestStopKills(t *testing.T) {
	p, _ := start(t, "trap '' TERM; echo hello; while :; do sleep 1000; done")
	if _, inTime := p.Stop(time.Millisecond); inTime || p.State().ExitCode() != -1 {
		t.Errorf("in time %v, %v", inTime, p.State())
	}
}

func TestKillAndCrash(t *testing.T) {
	for name, end := range map[string]func(*Process){"kill": (*Process).Kill, "crash": (*Process).Crash} {
		p, _ := start(t, "sleep 1000 & echo hello; wait")
		end(p)
		end(p) // a second time is no error
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			for p.Group() {
				time.Sleep(time.Millisecond)
			}
		}()
		if name == "crash" { // its child lives
			if !p.Group() {
				t.Error("crash ended the group")
			}
			syscall.Kill(-p.PID(), syscall.SIGKILL)
		}
		select {
		case <-gone:
		case <-time.After(patience):
			t.Errorf("%s: the group lives", name)
		}
	}
}

func TestReady(t *testing.T) {
	p, err := Start(exec.Command("/bin/true"))
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	failed := errors.New("not yet")
	try := func(context.Context) error { return failed }
	if err := p.Ready(t.Context(), try); err == nil || !strings.Contains(err.Error(), "ended before it answered") {
		t.Errorf("an ended process: %v", err)
	}
	p, _ = start(t, "echo hello; sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Ready(ctx, try); !errors.Is(err, failed) {
		t.Errorf("a silent process: %v", err)
	}
	if _, err := StartLogged(exec.Command("/nonexistent"), filepath.Join(t.TempDir(), "log")); err == nil {
		t.Error("started a program that does not exist")
	}
}

func TestUsage(t *testing.T) {
	pid := os.Getpid()
	if n, err := Descriptors(pid); err != nil || n < 3 {
		t.Errorf("Descriptors = %d, %v", n, err)
	}
	if n, err := Resident(pid); err != nil || n < 1<<20 {
		t.Errorf("Resident = %d, %v", n, err)
	}
	if CPU(pid) <= 0 {
		t.Error("no processor time")
	}
	if _, err := Resident(-1); err == nil {
		t.Error("memory of no process")
	}
}

func TestPort(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		port, err := Port()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Errorf("port %s twice", port)
		}
		seen[port] = true
		if lock, err := net.Listen("unix", "@polyclam-test-port-"+port); err == nil {
			lock.Close()
			t.Errorf("port %s is not reserved", port)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Error(err)
			continue
		}
		l.Close()
	}
}

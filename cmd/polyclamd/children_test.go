package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"polyclam/test/testkit"
)

// processes returns the state of every process by parent and id, as in /proc/PID/stat.
func processes(t *testing.T) map[int]map[int]string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]map[int]string{}
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) < 2 {
			continue
		}
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		parent, _ := strconv.Atoi(fields[1])
		if all[parent] == nil {
			all[parent] = map[int]string{}
		}
		all[parent][pid] = fields[0]
	}
	return all
}

// writeProgram writes a shell script that serves as a scanner, and returns its path.
func writeProgram(t *testing.T, dir, script string) string {
	t.Helper()
	path := filepath.Join(dir, "program")
	testkit.WriteProgram(t, path, []byte("#!/bin/sh\n"+script))
	return path
}

// programEngine is an [[engine]] that runs a program, and a [spool] for it.
func programEngine(dir, program string, more ...string) string {
	return fmt.Sprintf("[spool]\ndirectory = %q\n[[engine]]\nname = \"program\"\nbackend = \"command\"\nargv = [%q, \"{path}\"]\nexit = { \"0\" = \"ok\", \"1\" = \"virus\" }\n%s\n",
		filepath.Join(dir, "spool"), program, strings.Join(more, "\n"))
}

// asInit runs a command as the first process of a namespace.
func asInit(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT TESTED: the first process of a container; this needs root")
	}
	return func(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID} }
}

// TestFirstProcess runs polyclamd as the first process of a namespace. Each scan leaves an
// orphan. All orphans are reaped, and no exit status of a scanner is lost.
func TestFirstProcess(t *testing.T) {
	dir := testkit.SocketDir(t)
	socket := filepath.Join(dir, "s")
	program := writeProgram(t, dir, "(setsid sleep 0.01 >/dev/null 2>&1 &)\ngrep -q EICAR \"$1\" && exit 1\nexit 0\n")
	conf := writeConfig(t, dir, unixListener(socket)+programEngine(dir, program))
	d := launch(t, asInit(t), "--config", conf)
	d.waitFor("engine")
	for range 20 {
		wantReply(t, "unix", socket, instream("harmless"), "stream: OK\x00")
		if reply, err := ask("unix", socket, instream(eicar())); err != nil || !strings.HasSuffix(reply, " FOUND\x00") {
			t.Errorf("EICAR: %q, %v", reply, err)
		}
	}
	testkit.Eventually(t, "the end of all orphans", func() bool { return len(processes(t)[d.cmd.Process.Pid]) == 1 })
	d.reload(reloaded) // the signal is passed on
	d.stop()
	wantGone(t, socket)
}

// TestFirstProcessEndsWithTheDaemon kills the daemon that the first process started.
func TestFirstProcessEndsWithTheDaemon(t *testing.T) {
	dir := testkit.SocketDir(t)
	d := launch(t, asInit(t), "--config", writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))))
	d.waitFor("engine")
	for pid := range processes(t)[d.cmd.Process.Pid] {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	if status := d.wait(); status != 128+9 {
		t.Errorf("exit status %d, want 137", status)
	}
}

func TestInheritFromFirst(t *testing.T) {
	t.Setenv("LISTEN_PID", "1")
	inheritFromInit()
	if os.Getppid() != initPID && os.Getenv("LISTEN_PID") != "1" {
		t.Error("LISTEN_PID of another process was taken over")
	}
}

// TestStopDuringHealthCheck stops the daemon while a program and its child scan a test file.
// Neither the processes nor the file are left.
func TestStopDuringHealthCheck(t *testing.T) {
	dir := testkit.SocketDir(t)
	pids := filepath.Join(dir, "pids")
	program := writeProgram(t, dir, "sleep 3600 &\necho $$ $! >"+pids+".new\nmv "+pids+".new "+pids+"\nwait\n")
	d := startDaemon(t, writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+programEngine(dir, program, `copy = "copy"`)), nil)
	testkit.Eventually(t, "the health check", func() bool { _, err := os.Stat(pids); return err == nil })
	d.stop()
	left, err := os.ReadDir(filepath.Join(dir, "spool"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range strings.Fields(string(text)) {
		pid, _ := strconv.Atoi(field)
		testkit.Eventually(t, "the end of process "+field, func() bool { return hasEnded(t, pid) })
	}
}

// TestStopKillsDescendants has a program start another one in a new session, which killing the
// program's process group does not reach.
func TestStopKillsDescendants(t *testing.T) {
	dir := testkit.SocketDir(t)
	pids := filepath.Join(dir, "pids")
	program := writeProgram(t, dir, "setsid sleep 3600 >/dev/null 2>&1 &\necho $! >"+pids+".new\nmv "+pids+".new "+pids+"\nexec sleep 3600\n")
	d := startDaemon(t, writeConfig(t, dir, unixListener(filepath.Join(dir, "s"))+programEngine(dir, program)), nil)
	testkit.Eventually(t, "the health check", func() bool { _, err := os.Stat(pids); return err == nil })
	d.stop()
	text, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	testkit.Eventually(t, "the end of process "+strconv.Itoa(pid), func() bool { return hasEnded(t, pid) })
}

// hasEnded reports whether a process is gone, or a zombie.
func hasEnded(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(rest, "Z")
}

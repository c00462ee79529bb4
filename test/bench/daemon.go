package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hang is how long a daemon may take for anything before it counts as broken.
const hang = 60 * time.Second

// A daemon is a process under measurement.
type daemon struct {
	name string
	log  string // file with its output
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// start runs a program in dir, in its own process group. It ends with the caller's
// thread at the latest. Its output goes to a file.
func start(dir, name, program string, args ...string) (*daemon, error) {
	d := &daemon{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	d.cmd = exec.Command(program, args...)
	d.cmd.Dir = dir
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		d.cmd.Wait()
		close(d.done)
	}()
	return d, nil
}

// ready waits until the socket answers.
func (d *daemon) ready(socket string) error {
	c := newClient(socket, 5*time.Second)
	defer c.close()
	limit := time.Now().Add(hang)
	for {
		err := c.ping()
		if err == nil {
			return nil
		}
		if ended := d.alive(); ended != nil {
			return ended
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not answer: %w\n%s", d.name, err, d.tail())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive returns an error if the daemon has ended.
func (d *daemon) alive() error {
	select {
	case <-d.done:
		return fmt.Errorf("%s has ended: %v\n%s", d.name, d.cmd.ProcessState, d.tail())
	default:
		return nil
	}
}

// stop ends the daemon and waits for it.
func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(5 * time.Second):
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.done
	}
}

// cpu is the processor time of the daemon from its CPU clock, which /proc/PID/stat
// rounds to 10 ms.
func (d *daemon) cpu() time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h
	clock := int32(^d.cmd.Process.Pid<<3 | scheduled)
	var ts unix.Timespec
	if unix.ClockGettime(clock, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// descriptors is the number of open descriptors of the daemon.
func (d *daemon) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	return len(entries)
}

// resident is the daemon's memory in bytes.
func (d *daemon) resident() (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no VmRSS", d.name)
}

// tail is the end of the daemon's output.
func (d *daemon) tail() string {
	b, err := os.ReadFile(d.log)
	if err != nil {
		return ""
	}
	return string(b[max(0, len(b)-2000):])
}

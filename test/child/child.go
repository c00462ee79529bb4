// Package child runs programs as child processes, for tests and measurements.
package child

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// launcher runs functions on one thread that never ends. The kernel kills children with
// Pdeathsig when the thread that started them is gone, so theirs must outlive goroutines.
var launcher = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// A Process is a running or ended child. Its methods are safe for concurrent use.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

// Start starts cmd in its own process group, or session if cmd asks for one. The kernel
// kills the child when this process ends, unless the child changes its user.
//
// If the output goes to a writer that is not a file, Done waits until every process that
// inherited it has closed it, or for cmd.WaitDelay.
func Start(cmd *exec.Cmd) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = !cmd.SysProcAttr.Setsid
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	launcher() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	p := &Process{cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// StartLogged is [Start] with output and errors in the file at path, which it creates or
// appends to. Outputs that cmd has already stay.
func StartLogged(cmd *exec.Cmd, path string) (*Process, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if cmd.Stderr == nil {
		cmd.Stderr = log
	}
	if cmd.Stdout == nil {
		cmd.Stdout = cmd.Stderr
	}
	return Start(cmd)
}

// PID is the process ID, also that of the process group.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended and been waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended reports whether the process has ended.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// State is how the process ended. It must have ended.
func (p *Process) State() *os.ProcessState { return p.cmd.ProcessState }

// Signal sends a signal to the process.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Wait waits for the end and reports whether it came within limit.
func (p *Process) Wait(limit time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(limit):
		return false
	}
}

// Crash kills the process, but not its children, and waits for its end.
func (p *Process) Crash() {
	if !p.Ended() {
		p.cmd.Process.Kill()
	}
	<-p.done
}

// Kill kills the process group and waits for the end of the process.
func (p *Process) Kill() {
	if !p.Ended() {
		syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	<-p.done
}

// Stop sends SIGTERM and returns how long the process took to end. If that exceeds
// limit, Stop kills the process group, and inTime is false.
func (p *Process) Stop(limit time.Duration) (took time.Duration, inTime bool) {
	began := time.Now()
	p.Signal(syscall.SIGTERM)
	if inTime = p.Wait(limit); !inTime {
		p.Kill()
	}
	return time.Since(began), inTime
}

// Group reports whether a process of the group is left.
func (p *Process) Group() bool { return syscall.Kill(-p.PID(), 0) == nil }

// Ready calls try every few milliseconds until it returns nil. It fails when ctx is done
// or the process ends first.
func (p *Process) Ready(ctx context.Context, try func(context.Context) error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it answered: %v", p.State())
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", err)
		case <-tick.C:
		}
	}
}

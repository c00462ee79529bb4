package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// launcher starts every process from one thread that never ends. The kernel kills the
// processes when that thread is gone, however the harness ends.
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

// process is a child in its own process group.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and been waited for
}

// launch starts a program with these writers as its output and error.
func launch(out, errors io.Writer, env []string, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = out, errors
	cmd.WaitDelay = 5 * time.Second // grandchildren may hold the output
	cmd.Env = append(cmd.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	launcher() <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill kills only the process, as a crash does, and waits for it.
func (p *process) kill() {
	if !p.ended() {
		p.cmd.Process.Kill()
	}
	<-p.done
}

// wait waits for the end and reports whether it came in time.
func (p *process) wait(d time.Duration) bool {
	select {
	case <-p.done:
		return true
	case <-time.After(d):
		return false
	}
}

// patience is how long anything may take before the harness gives up. It measures
// nothing.
const patience = 60 * time.Second

// awaitLine waits for the first line of output.
func awaitLine(r io.Reader) error {
	line := make(chan error, 1)
	go func() {
		_, err := bufio.NewReader(r).ReadString('\n')
		line <- err
		io.Copy(io.Discard, r)
	}()
	select {
	case err := <-line:
		return err
	case <-time.After(patience):
		return errors.New("it says nothing")
	}
}

// build compiles a command of the module.
func build(binary, name string, flags ...string) error {
	args := append([]string{"build", "-o", binary}, flags...)
	out, err := exec.Command("go", append(args, name)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build %s: %w\n%s", name, err, out)
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"polyclam/test/clamdtest"
)

// hang is how long anything may take before a part gives up.
const hang = 60 * time.Second

// A process is a program that a trial started.
type process struct {
	cmd  *exec.Cmd
	log  string        // file with its output
	done chan struct{} // closed when it has ended
}

// start starts cmd. If stderr is nil, its output goes to a file.
func (t *trial) start(name string, cmd *exec.Cmd, stderr *os.File) (*process, error) {
	p := &process{cmd: cmd, log: t.path(name + ".log"), done: make(chan struct{})}
	if stderr == nil {
		log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer log.Close()
		stderr = log
	}
	cmd.Dir = t.dir
	if cmd.Stdout == nil {
		cmd.Stdout = stderr
	}
	cmd.Stderr = stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	t.atEnd(p.kill)
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

// kill kills the process and waits for its end.
func (p *process) kill() {
	if !p.ended() {
		syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
	<-p.done
}

// stop sends SIGTERM and returns how long the process took to end. If that exceeds
// limit, it is killed, and the second value is false.
func (p *process) stop(limit time.Duration) (time.Duration, bool) {
	began := time.Now()
	p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return time.Since(began), true
	case <-time.After(limit):
		p.kill()
		return time.Since(began), false
	}
}

// state says whether the process runs, or how it ended.
func (p *process) state() string {
	if !p.ended() {
		return "runs"
	}
	return "has ended: " + p.cmd.ProcessState.String() + firstLine(p.tail(4000), "fatal error:", "runtime:", "panic:")
}

// tail is the end of the process's output.
func (p *process) tail(n int64) string {
	f, err := os.Open(p.log)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		f.Seek(max(0, size-n), io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, n))
	return string(b)
}

// firstLine is the first line of text that begins with one of the words.
func firstLine(text string, words ...string) string {
	for line := range strings.Lines(text) {
		for _, w := range words {
			if strings.HasPrefix(line, w) {
				return " (" + strings.TrimSpace(line) + ")"
			}
		}
	}
	return ""
}

// usage is the resource usage of a process.
type usage struct {
	resident             int64
	threads, descriptors int
}

func (p *process) usage() usage {
	var u usage
	u.resident, _ = clamdtest.Resident(p.pid())
	u.descriptors, _ = clamdtest.Descriptors(p.pid())
	if tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.pid())); err == nil {
		u.threads = len(tasks)
	}
	return u
}

// max is the larger of each value.
func (u usage) max(v usage) usage {
	return usage{max(u.resident, v.resident), max(u.threads, v.threads), max(u.descriptors, v.descriptors)}
}

func (u usage) String() string {
	return fmt.Sprintf("RSS %.1f MiB, %d threads, %d descriptors", float64(u.resident)/(1<<20), u.threads, u.descriptors)
}

// watch samples the usage of the process. The function it returns stops it and returns
// the peaks.
func (p *process) watch(ctx context.Context) (peaks func() usage) {
	ctx, cancel := context.WithCancel(ctx)
	result := make(chan usage, 1)
	go func() {
		top := p.usage()
		for pause(ctx, 200*time.Millisecond) == nil {
			top = top.max(p.usage())
		}
		result <- top
	}()
	return func() usage {
		cancel()
		return <-result
	}
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	const scheduled = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h
	var ts unix.Timespec
	if unix.ClockGettime(int32(^p.pid()<<3|scheduled), &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

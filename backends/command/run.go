package command

import (
	"context"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/internal/ended"
)

// grace is how long run waits for a program that it has killed. A program that lingers in
// the kernel is reaped later, in the background.
const grace = 30 * time.Millisecond

// job is a program to run.
type job struct {
	argv  []string // argv[0] is the path of the program
	env   []string
	limit int // bytes of output to keep
	// after is called once, when the program has ended or failed to start. It returns
	// what the program did to its file.
	after func() alteration
}

// runResult is the result of a run.
type runResult struct {
	output    []byte
	truncated bool // there was more output
	code      int
	signal    syscall.Signal // that killed the program; 0 if it exited
	altered   alteration     // what the program did to the file
	paths     []string       // of the file
	stopped   error          // set if the context ended first
}

// alteration describes what a program did to its file.
type alteration struct {
	text   string // empty if nothing
	shared bool   // other engines have the same file
}

// number returns the code of the result.
func (e *runResult) number() int {
	if e.signal != 0 || e.stopped != nil {
		return backends.NoCode
	}
	return e.code
}

// run runs a program to its end. If ctx ends first, run kills the program and its process
// group, and the runResult has the output so far.
func run(ctx context.Context, j job) (runResult, error) {
	trace := newTrace(ctx)
	trace.started(j)
	e, err := runTo(ctx, j)
	trace.ended(e, err)
	return e, err
}

func runTo(ctx context.Context, j job) (runResult, error) {
	type end struct {
		runResult
		err error
	}
	p := new(process)
	done := make(chan end, 1)
	out := newCapture(j.limit)
	go func() {
		e, err := p.run(j, out)
		done <- end{e, err}
	}()
	select {
	case d := <-done:
		return d.runResult, d.err
	case <-ctx.Done():
	}
	p.kill()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
	output, more := out.output()
	return runResult{output: output, truncated: more, stopped: ended.Context(ctx)}, nil
}

// process is a program and its process group. The group ID cannot be reused until the
// program is reaped, which run does after killing the group.
type process struct {
	mu     sync.Mutex
	group  int  // 0 before the start and after the end
	killed bool // kill immediately after the start
}

// kill kills the group, now or as soon as it starts.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killed = true
	if p.group > 0 {
		syscall.Kill(-p.group, syscall.SIGKILL)
	}
}

func (p *process) started(pid int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.group = pid
	if p.killed {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
}

// killGroup kills the rest of the group. The program has ended but is not reaped, so its
// ID cannot belong to another process.
func (p *process) killGroup() {
	p.mu.Lock()
	defer p.mu.Unlock()
	syscall.Kill(-p.group, syscall.SIGKILL)
	p.group = 0
}

func (p *process) run(j job, out *capture) (e runResult, err error) {
	defer func() { e.altered = j.after() }()
	// The parent-death signal is sent when the thread that started the program ends,
	// see prctl(2), so keep the thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, child, err := start(j)
	if err != nil {
		return runResult{}, err
	}
	defer r.Close()
	p.started(child.Pid)
	full := make(chan struct{})
	go func() {
		defer close(full)
		out.fill(r)
	}()
	await(child.Pid)
	p.killGroup()
	// Do not wait for other holders of the pipe, such as a grandchild that has left the
	// group.
	r.SetReadDeadline(time.Unix(1, 0))
	<-full
	out.drain(r)
	state, err := child.Wait()
	if err != nil {
		return runResult{}, err
	}
	e = runResult{code: state.ExitCode()}
	e.output, e.truncated = out.output()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.signal = status.Signal()
	}
	return e, nil
}

// start starts the program with empty input and both outputs on one pipe.
func start(j job) (*os.File, *os.Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, nil, err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	child, err := os.StartProcess(j.argv[0], j.argv, &os.ProcAttr{
		Dir: "/", Env: j.env, Files: []*os.File{null, w, w},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return r, child, nil
}

// await waits for the end of a child without reaping it.
func await(pid int) {
	const byPid = 1 // P_PID of waitid(2)
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

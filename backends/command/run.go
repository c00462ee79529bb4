package command

import (
	"context"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"polyclam/backends"
)

// grace is how long run waits for a program that it has killed to be gone. One that
// the kernel does not let go is reaped later, in the background.
const grace = 30 * time.Millisecond

// order is what to run.
type order struct {
	argv  []string // argv[0] is the path of the program
	env   []string
	limit int // bytes of output to keep
	// after is called once when the program is gone, or did not start. It returns
	// what the program did to its file, if anything.
	after func() alteration
}

// ending is a run that came to its end.
type ending struct {
	output    []byte
	truncated bool // there was more output
	code      int
	signal    syscall.Signal // that killed the program; 0: it exited
	altered   alteration     // what happened to the file
	paths     []string       // of the file
	stopped   error          // the end of the context, before the program's
}

// alteration is what a program did to its file.
type alteration struct {
	text   string // empty: nothing
	shared bool   // other engines have the same file
}

// number is the code of the result.
func (e *ending) number() int {
	if e.signal != 0 || e.stopped != nil {
		return backends.NoCode
	}
	return e.code
}

// run runs a program to its end. When ctx is done before, the program and all of
// its process group are killed, and the ending is what it had printed until then.
func run(ctx context.Context, o order) (ending, error) {
	type end struct {
		ending
		err error
	}
	p := new(process)
	done := make(chan end, 1)
	out := newCapture(o.limit)
	go func() {
		e, err := p.live(o, out)
		done <- end{e, err}
	}()
	select {
	case d := <-done:
		return d.ending, d.err
	case <-ctx.Done():
	}
	p.kill()
	patience := time.NewTimer(grace)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
	}
	output, more := out.soFar()
	return ending{output: output, truncated: more, stopped: ended(ctx)}, nil
}

// process is a program with its process group. The group's number stays ours until
// the program is reaped, which live does after it has killed the group.
type process struct {
	mu     sync.Mutex
	group  int  // 0: not started, or over
	killed bool // do not even start
}

// kill kills the whole group, if it is there, or as soon as it is.
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

// over kills what is left of the group. The program itself has ended but is not
// reaped, so that the number cannot belong to anybody else.
func (p *process) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	syscall.Kill(-p.group, syscall.SIGKILL)
	p.group = 0
}

func (p *process) live(o order, out *capture) (e ending, err error) {
	defer func() { e.altered = o.after() }()
	// The kernel sends the parent-death signal when the thread ends that started the
	// program, see prctl(2): hold on to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, child, err := start(o)
	if err != nil {
		return ending{}, err
	}
	defer r.Close()
	p.started(child.Pid)
	full := make(chan struct{})
	go func() {
		defer close(full)
		out.fill(r)
	}()
	await(child.Pid)
	p.over()
	// Whoever else holds the pipe is not waited for: a grandchild that has left the
	// group must not keep us.
	r.SetReadDeadline(time.Unix(1, 0))
	<-full
	out.drain(r)
	state, err := child.Wait()
	if err != nil {
		return ending{}, err
	}
	e = ending{code: state.ExitCode()}
	e.output, e.truncated = out.soFar()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.signal = status.Signal()
	}
	return e, nil
}

// start starts the program with nothing to read and both outputs on one pipe.
func start(o order) (*os.File, *os.Process, error) {
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
	child, err := os.StartProcess(o.argv[0], o.argv, &os.ProcAttr{
		Dir: "/", Env: o.env, Files: []*os.File{null, w, w},
		Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	return r, child, nil
}

// await waits for the end of a child and leaves it to be reaped.
func await(pid int) {
	const byPid = 1 // P_PID of waitid(2)
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPid, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return
		}
	}
}

package hook

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"polyclam/backends"
	"polyclam/backends/access"
)

const (
	// maxOutput is how much of the program's output the log quotes.
	maxOutput = 512
	// lingering is how long a run waits for processes outside the program's process group
	// that hold its output open.
	lingering = 100 * time.Millisecond
)

// Check reports whether the program can be started, as a [backends.KeyError].
func (c *Config) Check() error {
	if c.Program == "" {
		return nil
	}
	info, err := os.Stat(c.Program)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return backends.KeyErrorf("program", "%s does not exist", c.Program)
	case errors.Is(err, fs.ErrPermission):
		return c.denied()
	case err != nil:
		return backends.KeyErrorf("program", "%w", err)
	case !info.Mode().IsRegular():
		return backends.KeyErrorf("program", "%s is not a file", c.Program)
	}
	const execute = 1 // X_OK of access(2)
	if err := syscall.Access(c.Program, execute); err != nil {
		return c.denied()
	}
	return nil
}

func (c *Config) denied() error {
	return backends.KeyErrorf("program", "%s: %s", c.Program, access.Explain(c.Program, access.Search))
}

// run runs the program to its end and returns how it failed, in words for operators.
func (j *job) run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, j.config.Timeout)
	defer cancel()
	var out head
	cmd := exec.CommandContext(ctx, j.config.Program, j.config.Arguments...)
	cmd.Dir, cmd.Env = "/", j.event.environment()
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = lingering
	// A new process group, so that everything that the program starts can be killed.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err := cmd.Run()
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay):
		return nil // if ErrWaitDelay, a process in the background holds the output
	case errors.Is(context.Cause(ctx), ErrClosed):
		return ErrClosed
	case ctx.Err() != nil:
		return fmt.Errorf("not finished after %v (key timeout), killed", j.config.Timeout)
	}
	return failure(err, out.text())
}

// failure describes how a program failed.
func failure(err error, output string) error {
	var exit *exec.ExitError
	var path *fs.PathError
	text := err.Error()
	switch {
	case errors.As(err, &exit):
		text = fmt.Sprintf("exit status %d", exit.ExitCode())
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			text = fmt.Sprintf("killed by signal %d (%v)", status.Signal(), status.Signal())
		}
	case errors.As(err, &path):
		text = fmt.Sprintf("cannot be started: %v", path.Err)
	}
	if output != "" {
		text += fmt.Sprintf(": %+q", output)
	}
	return errors.New(text)
}

// head keeps the beginning of what is written to it.
type head struct{ data []byte }

// Write implements [io.Writer].
func (h *head) Write(p []byte) (int, error) {
	h.data = append(h.data, p[:min(len(p), maxOutput-len(h.data))]...)
	return len(p), nil
}

func (h *head) text() string { return strings.TrimSpace(string(h.data)) }

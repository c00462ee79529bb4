package clamdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// hang is how long a daemon may take for anything before the test gives up. It measures
// nothing: it only catches a hang.
const hang = 60 * time.Second

// output collects what a daemon prints. It is safe for concurrent use.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// process is a daemon in the foreground, in its own process group.
type process struct {
	cmd  *exec.Cmd
	log  *output
	done chan struct{} // closed when it has ended and been waited for
}

// launch starts the program in dir as the user of account.
func launch(a account, dir string, log *output, program string, args ...string) (*process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: a.credential()}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// ended reports whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// kill kills the whole group and waits for it.
func (p *process) kill() {
	if !p.ended() {
		syscall.Kill(-p.pid(), syscall.SIGKILL)
	}
	<-p.done
}

// wait waits for the end and returns the exit status, -1 after a signal.
func (p *process) wait(timeout time.Duration) (int, error) {
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return 0, fmt.Errorf("still running after %v", timeout)
	}
}

// ready polls the daemon until it answers PING.
func (p *process) ready(network, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ping(ctx, network, address)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("ended before it answered: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("does not answer: %w", err)
		case <-tick.C:
		}
	}
}

func ping(ctx context.Context, network, address string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte("zPING\x00")); err != nil {
		return err
	}
	reply := make([]byte, 64)
	n, err := c.Read(reply)
	if got := string(reply[:n]); got != "PONG\x00" {
		return errors.Join(fmt.Errorf("answered %q to PING", got), err)
	}
	return nil
}

// freePort returns a port of 127.0.0.1 that was free a moment ago.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// port is the port of the options, or a free one.
func (o Options) port() (string, error) {
	if o.Port != "" {
		return o.Port, nil
	}
	return freePort()
}

// Port returns a port of 127.0.0.1 for daemons that listen on it one after another. It
// is below the kernel's range for outgoing connections, so that it stays free for the
// next daemon.
func Port(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 30000")
	return ""
}

// tail returns the end of a log, for messages.
func tail(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	if len(lines) > 60 {
		lines = lines[len(lines)-60:]
	}
	return strings.Join(lines, "\n")
}

// showLog registers that the log is shown if the test failed.
func showLog(t testing.TB, what string, log *output) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of %s:\n%s", what, tail(log.String()))
		}
	})
}

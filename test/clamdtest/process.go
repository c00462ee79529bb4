package clamdtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"polyclam/test/child"
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

// launch starts the program in dir as the user of account.
func launch(a account, dir string, log *output, program string, args ...string) (*child.Process, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: a.credential()}
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_RUNTIME_DIR="+dir)
	return child.Start(cmd)
}

// ready polls the daemon until it answers PING.
func ready(p *child.Process, network, address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	return p.Ready(ctx, func(ctx context.Context) error { return ping(ctx, network, address) })
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

// port is the port of the options, or a free one.
func (o Options) port() (string, error) {
	if o.Port != "" {
		return o.Port, nil
	}
	return child.Port()
}

// Port returns a port of 127.0.0.1 for daemons that listen on it one after another.
func Port(t testing.TB) string {
	t.Helper()
	port, err := child.Port()
	if err != nil {
		t.Fatal(err)
	}
	return port
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

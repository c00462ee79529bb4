package clients

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"polyclam/test/child"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// poll is the interval at which tests poll for a condition.
const poll = 20 * time.Millisecond

// A served is a client of clamd that is a daemon itself. It runs in the foreground, in
// its own process group.
type served struct {
	*child.Process
	path string // of the program
	out  string // path of the file with its output
}

// launch runs a daemon. Cleanup kills the whole group and waits for it; the output is
// shown if the test failed.
func launch(t *testing.T, cmd *exec.Cmd) *served {
	t.Helper()
	out := filepath.Join(t.TempDir(), "output.log")
	p, err := child.StartLogged(cmd, out)
	if err != nil {
		t.Fatal(err)
	}
	s := &served{p, cmd.Path, out}
	t.Cleanup(func() { s.kill(t) })
	return s
}

func (s *served) kill(t *testing.T) {
	syscall.Kill(-s.PID(), syscall.SIGKILL) // also after the end of the daemon itself
	<-s.Done()
	for deadline := time.Now().Add(hang); s.Group(); time.Sleep(poll) {
		if time.Now().After(deadline) {
			t.Errorf("%s left processes", s.path)
			break
		}
	}
	if t.Failed() {
		t.Logf("log of %s:\n%s", filepath.Base(s.path), s.log())
	}
}

// until polls until ready returns no error. The test fails if the daemon ends first.
func (s *served) until(t *testing.T, ready func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), hang)
	defer cancel()
	if err := s.Ready(ctx, func(context.Context) error { return ready() }); err != nil {
		t.Fatalf("%s: %v", s.path, err)
	}
}

// serve runs a daemon and waits until it greets a connection to address,
// "127.0.0.1:port", as SMTP and FTP servers do.
func serve(t *testing.T, address string, cmd *exec.Cmd) *served {
	t.Helper()
	s := launch(t, cmd)
	s.until(t, func() error { return greets(address) })
	return s
}

// greets runs a complete, short dialogue: a child of amavisd would end with a broken
// one.
func greets(address string) error {
	nc, err := net.DialTimeout("tcp", address, hang)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	lines := bufio.NewReader(nc)
	if err := replies(lines, "220"); err != nil {
		return err
	}
	if _, err := nc.Write([]byte("QUIT\r\n")); err != nil {
		return err
	}
	return replies(lines, "221")
}

// replies reads a reply of one or more lines, which must have this code.
func replies(lines *bufio.Reader, code string) error {
	for {
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, code) {
			return fmt.Errorf("said %q, want %s: %v", line, code, err)
		}
		if !strings.HasPrefix(line, code+"-") {
			return nil
		}
	}
}

// accepts reports whether a daemon accepts connections at an address.
func accepts(network, address string) error {
	nc, err := net.DialTimeout(network, address, hang)
	if err != nil {
		return err
	}
	return nc.Close()
}

// log returns what the daemon has printed so far.
func (s *served) log() string {
	text, _ := os.ReadFile(s.out)
	return string(text)
}

// logged waits for a line with mark in the log after the first skip bytes and returns
// what follows the mark. The test fails if there is none.
func (s *served) logged(t *testing.T, skip int, mark string) string {
	t.Helper()
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); time.Sleep(poll) {
		if _, rest, ok := strings.Cut(s.log()[skip:], mark); ok {
			if line, _, whole := strings.Cut(rest, "\n"); whole {
				return line
			}
		}
	}
	t.Fatalf("no %q in the log", mark)
	return ""
}

// listen calls serve for each connection to address until the test ends, and then waits
// for all of them. It returns the bound address.
func listen(t *testing.T, network, address string, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	t.Cleanup(func() { l.Close(); open.Wait() })
	open.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() { serve(nc) })
		}
	})
	return l.Addr().String()
}

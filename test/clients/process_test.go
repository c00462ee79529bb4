package clients

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// served is a running client of clamd that is a daemon itself, in the foreground and in a
// process group of its own.
type served struct {
	cmd  *exec.Cmd
	out  string        // path of the file with what it prints
	done chan struct{} // closed when it has ended and been waited for
}

// serve runs a daemon and waits until it greets whoever connects to address,
// "127.0.0.1:port". At cleanup its whole group is killed and it is waited for; what
// it printed is shown if the test failed.
func serve(t *testing.T, address string, cmd *exec.Cmd) *served {
	t.Helper()
	s := &served{cmd: cmd, out: filepath.Join(t.TempDir(), "output.log"), done: make(chan struct{})}
	// A file, not a pipe: Wait would wait for everybody who holds its end.
	out, err := os.Create(s.out)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-s.done
		if t.Failed() {
			t.Logf("log of %s:\n%s", filepath.Base(cmd.Path), s.log())
		}
	})
	if err := s.ready(address); err != nil {
		t.Fatalf("%s: %v", cmd.Path, err)
	}
	return s
}

// ready polls the address until somebody says 220 there, as SMTP and FTP do.
func (s *served) ready(address string) error {
	err := errors.New("never tried")
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.done:
			return fmt.Errorf("ended: %v", s.cmd.ProcessState)
		default:
		}
		if err = greets(address); err == nil {
			return nil
		}
	}
	return err
}

func greets(address string) error {
	nc, err := net.DialTimeout("tcp", address, hang)
	if err != nil {
		return err
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(hang))
	line := make([]byte, 4)
	if _, err := io.ReadFull(nc, line); err != nil || (string(line) != "220 " && string(line) != "220-") {
		return fmt.Errorf("greeted with %q: %v", line, err)
	}
	_, err = nc.Write([]byte("QUIT\r\n"))
	return err
}

// log returns what the daemon has printed so far.
func (s *served) log() string {
	text, _ := os.ReadFile(s.out)
	return string(text)
}

// logged waits for a line of the log after the first skip bytes that has mark in it,
// and returns what follows the mark. The test fails if there is none.
func (s *served) logged(t *testing.T, skip int, mark string) string {
	t.Helper()
	for deadline := time.Now().Add(hang); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if _, rest, ok := strings.Cut(s.log()[skip:], mark); ok {
			if line, _, whole := strings.Cut(rest, "\n"); whole {
				return line
			}
		}
	}
	t.Fatalf("no %q in the log", mark)
	return ""
}
